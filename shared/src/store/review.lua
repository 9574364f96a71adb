-- Decides on tasks that wait for people: takes their draft as the result, or another result, or refuses them.
--   transition: blocked>completed approved
--   transition: blocked>completed edited
--   transition: blocked>failed rejected
-- KEYS   the queue's fixed keys (lua/queue.lua)
-- ARGV   by, 'approved' | 'edited' | 'rejected', result JSON (for edited) or '', review JSON, id ...
-- reply  for each id: 'ok' | the state it is in | 'unknown'
-- events one entry
-- cost   about 6 commands a task

redis.call('ZREM', RUNNING, '') -- frees nothing, but lets the script pass at maxmemory
local tasks = task_helpers()
local verdict, result, review = ARGV[2], ARGV[3], ARGV[4]
local reply = {}
for i = 5, #ARGV do
  local id = ARGV[i]
  local state, attempt = tasks.look(id)
  if state ~= 'blocked' then
    reply[#reply + 1] = state or 'unknown'
  else
    redis.call('ZREM', BLOCKED, id)
    redis.call('HSET', TASK .. id, 'review', review)
    if verdict == 'rejected' then
      tasks.finish(id, 'blocked', 'failed', verdict, attempt, tasks.batch_of(id))
    else
      redis.call('HDEL', TASK .. id, 'error')
      if verdict == 'edited' then redis.call('HSET', TASK .. id, 'result', result) end
      tasks.finish(id, 'blocked', 'completed', verdict, attempt, tasks.batch_of(id))
    end
    reply[#reply + 1] = 'ok'
  end
end
commit(ARGV[1])
return reply
