-- Cancels tasks. One that runs is marked, and its node is told; a result that comes first wins.
--   transition: pending>cancelled cancelled
--   transition: scheduled>cancelled cancelled
--   transition: parked>cancelled cancelled
--   transition: blocked>cancelled cancelled
--   transition: running>running cancelling
--   transition: parked>pending unparked
-- KEYS   the queue's fixed keys (lua/queue.lua)
-- ARGV   by, id ...
-- reply  for each id: 'cancelled' | 'cancelling NODE' | the final state it had | 'unknown'
-- events one entry
-- cost   3 commands a task

redis.call('ZREM', K.running, '') -- frees nothing, but lets the script pass at maxmemory
local PLACE = { pending = K.pending, scheduled = K.scheduled, parked = K.parked, blocked = K.blocked }
local reply = {}
for i = 2, #ARGV do
  local id, key = ARGV[i], task_key(ARGV[i])
  local t = redis.call('HMGET', key, 'state', 'attempt', 'batch', 'concurrency_key', 'node')
  local place = PLACE[t[1] or '']
  if not t[1] then
    reply[#reply + 1] = 'unknown'
  elseif place then
    redis.call('ZREM', place, id)
    redis.call('ZREM', K.expiring, id)
    if t[1] == 'parked' then unpark(id, t[4]) end
    if t[1] == 'pending' then pass_on(t[4]) end
    finish(id, t[1], 'cancelled', 'cancelled', t[2], t[3])
    reply[#reply + 1] = 'cancelled'
  elseif t[1] == 'running' then
    redis.call('HSET', key, 'cancel', 1, 'reason', 'cancelling')
    note('running', 'running', 'cancelling', id, t[2])
    reply[#reply + 1] = 'cancelling ' .. (t[5] or '')
  else
    reply[#reply + 1] = t[1]
  end
end
commit(ARGV[1])
return reply
