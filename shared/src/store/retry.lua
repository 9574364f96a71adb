-- Gives tasks that failed, were cancelled or expired another life, with fresh counters and a new place in the queue.
--   transition: failed>pending retried
--   transition: cancelled>pending retried
--   transition: expired>pending retried
-- KEYS   the queue's fixed keys (lua/queue.lua)
-- ARGV   by, id ...
-- reply  for each id: 'pending' | the state it stays in | 'unknown'
-- events one entry
-- cost   about 8 commands a task
-- The attempt number goes on counting: it is half of the fencing token.

local OVER = { failed = true, cancelled = true, expired = true }
redis.call('HSET', STATS, 'seen_at', now)
local tasks = task_helpers()
local reply = {}
for i = 2, #ARGV do
  local id, key = ARGV[i], TASK .. ARGV[i]
  local state, attempt, priority, requeues, lease = tasks.look(id, 'priority', 'requeues', 'lease')
  if not state then
    reply[#reply + 1] = 'unknown'
  elseif not OVER[state] then
    reply[#reply + 1] = state
  else
    local batch = tasks.batch_of(id)
    redis.call('ZREM', DEAD, id)
    if lease then tasks.end_lease(id, lease) end
    redis.call('HDEL', key, 'retries', 'crashes', 'interruptions', 'waits', 'error', 'progress', 'finished_at', 'score',
      'cancel', 'due_at', 'expires_at', 'unknown_since', 'review', 'result', 'ledger')
    redis.call('HSET', key, 'state', 'pending', 'reason', 'retried', 'requeues', (tonumber(requeues) or 0) + 1)
    if batch and redis.call('EXISTS', batch_key(batch)) == 1 then
      count_in_batch(batch, state, -1)
    elseif batch then
      redis.call('HSET', key, 'batch', '') -- the batch is over and forgotten; the task goes on alone
    end
    tasks.note(state, 'pending', 'retried', id, attempt)
    make_pending(id, tasks.fresh_score(id, priority))
    reply[#reply + 1] = 'pending'
  end
end
commit(ARGV[1])
return reply
