-- A node's heartbeat: refreshes its key and the index, and takes the commands that wait for it.
-- KEYS   the node's key, the index (a sorted set: node, last beat), its inbox (a list),
--        the records of nodes seen lately (a hash)
-- ARGV   node, its record as JSON, TTL of the key ms, 'changed' if something other than its running tasks changed
-- reply  { now us, nodes that beat within the last two minutes, command ... }
-- cost   5 commands

-- It comes first since it takes no memory, which lets the script pass at maxmemory.
local commands = redis.pcall('LPOP', KEYS[3], 100)
if not commands or commands.err then commands = {} end -- an inbox that is no list stops no heartbeat
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
-- Redis makes text of a number far more slowly than this.
local now_text = string.format('%d', now)
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], now_text, ARGV[1])
if ARGV[4] == 'changed' then
  redis.call('HSET', KEYS[4], ARGV[1], ARGV[2])
  -- A node that vanished shows as lost for a day; a few older ones go whenever another comes.
  local old = redis.call('ZRANGE', KEYS[2], '-inf', now - 86400 * 1000000, 'BYSCORE', 'LIMIT', 0, 20)
  if #old > 0 then
    redis.call('ZREM', KEYS[2], unpack(old))
    redis.call('HDEL', KEYS[4], unpack(old))
  end
end
local live = redis.call('ZCOUNT', KEYS[2], string.format('%d', now - 120 * 1000000), '+inf')
local reply = { now_text, string.format('%d', live) }
for _, command in ipairs(commands) do reply[#reply + 1] = command end
return reply
