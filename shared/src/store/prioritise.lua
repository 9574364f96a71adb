-- Gives waiting tasks another priority and, with it, a new place in the queue.
--   transition: pending>pending reprioritised
--   transition: scheduled>scheduled reprioritised
--   transition: parked>parked reprioritised
--   transition: running>running reprioritised
-- KEYS   the queue's fixed keys (lua/queue.lua)
-- ARGV   by, priority, id ...
-- reply  for each id: its state | 'unknown'; a task in a final state is left as it is
-- events one entry
-- cost   about 6 commands a task

redis.call('HSET', STATS, 'seen_at', now)
local tasks = task_helpers()
local WAITING = { pending = true, scheduled = true, parked = true, running = true }
local reply, priority = {}, ARGV[2]
for i = 3, #ARGV do
  local id, key = ARGV[i], TASK .. ARGV[i]
  local state, attempt, concurrency_key = tasks.look(id, 'concurrency_key')
  reply[#reply + 1] = state or 'unknown'
  if WAITING[state or ''] then
    -- A scheduled or running task gets its new place when it becomes pending: its score is of another band.
    redis.call('HSET', key, 'priority', priority)
    -- What a running task's reason says (claimed, cancelling) is still true.
    if state ~= 'running' then redis.call('HSET', key, 'state', state, 'reason', 'reprioritised') end
    redis.call('HDEL', key, 'score')
    if state == 'pending' then
      make_pending(id, tasks.fresh_score(id, priority))
    elseif state == 'parked' then
      local score = tasks.fresh_score(id, priority)
      redis.call('ZADD', PARKED, score, id)
      redis.call('ZADD', tasks.parked_key(concurrency_key), score, id)
    end
    tasks.note(state, state, 'reprioritised', id, attempt)
  end
end
commit(ARGV[1])
return reply
