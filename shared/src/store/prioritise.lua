-- Gives waiting tasks another priority and, with it, a new place in the queue.
--   transition: pending>pending reprioritised
--   transition: scheduled>scheduled reprioritised
--   transition: parked>parked reprioritised
--   transition: running>running reprioritised
-- KEYS   the queue's fixed keys (lua/queue.lua)
-- ARGV   by, priority, id ...
-- reply  for each id: its state | 'unknown'; a task in a final state is left as it is
-- events one entry
-- cost   4 commands a task

redis.call('HSET', K.stats, 'seen_at', now)
local WAITING = { pending = true, scheduled = true, parked = true, running = true }
local reply, priority = {}, ARGV[2]
for i = 3, #ARGV do
  local id, key = ARGV[i], task_key(ARGV[i])
  local t = redis.call('HMGET', key, 'state', 'tenant', 'weight', 'concurrency_key', 'attempt')
  reply[#reply + 1] = t[1] or 'unknown'
  if WAITING[t[1] or ''] then
    -- A scheduled or running task gets its new place when it becomes pending: it has no score any more.
    redis.call('HSET', key, 'priority', priority)
    -- What a running task's reason says (claimed, cancelling) is still true.
    if t[1] ~= 'running' then redis.call('HSET', key, 'reason', 'reprioritised') end
    redis.call('HDEL', key, 'score')
    if t[1] == 'pending' then
      make_pending(id, fresh_score(priority, t[2], t[3]))
    elseif t[1] == 'parked' then
      local score = fresh_score(priority, t[2], t[3])
      redis.call('ZADD', K.parked, score, id)
      redis.call('ZADD', parked_key(t[4]), score, id)
    end
    note(t[1], t[1], 'reprioritised', id, t[5])
  end
end
commit(ARGV[1])
return reply
