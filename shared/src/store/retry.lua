-- Gives tasks that failed, were cancelled or expired another life, with fresh counters and a new place in the queue.
--   transition: failed>pending retried
--   transition: cancelled>pending retried
--   transition: expired>pending retried
-- KEYS   the queue's fixed keys (lua/queue.lua)
-- ARGV   by, id ...
-- reply  for each id: 'pending' | the state it stays in | 'unknown'
-- events one entry
-- cost   4 commands a task
-- The attempt number goes on counting: it is half of the fencing token.

local OVER = { failed = true, cancelled = true, expired = true }
redis.call('HSET', K.stats, 'seen_at', now)
local reply = {}
for i = 2, #ARGV do
  local id, key = ARGV[i], task_key(ARGV[i])
  local t = redis.call('HMGET', key, 'state', 'attempt', 'batch', 'priority', 'tenant', 'weight', 'requeues')
  if not t[1] then
    reply[#reply + 1] = 'unknown'
  elseif not OVER[t[1]] then
    reply[#reply + 1] = t[1]
  else
    redis.call('ZREM', K.dead, id)
    redis.call('HDEL', key, 'retries', 'crashes', 'interruptions', 'waits', 'error', 'progress', 'finished_at', 'score',
      'cancel', 'due_at', 'expires_at', 'unknown_since', 'review', 'result', 'ledger')
    redis.call('HSET', key, 'state', 'pending', 'reason', 'retried', 'requeues', (tonumber(t[7]) or 0) + 1)
    if t[3] and redis.call('EXISTS', batch_key(t[3])) == 1 then
      count_in_batch(t[3], t[1], -1)
    elseif t[3] then
      redis.call('HDEL', key, 'batch') -- the batch is over and forgotten; the task goes on alone
    end
    note(t[1], 'pending', 'retried', id, t[2])
    make_pending(id, fresh_score(t[4], t[5], t[6]))
    reply[#reply + 1] = 'pending'
  end
end
commit(ARGV[1])
return reply
