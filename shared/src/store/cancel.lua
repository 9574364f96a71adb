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
-- cost   about 5 commands a task

redis.call('ZREM', RUNNING, '') -- frees nothing, but lets the script pass at maxmemory
local tasks = task_helpers()
local PLACE = { pending = PENDING, scheduled = SCHEDULED, parked = PARKED, blocked = BLOCKED }
local reply = {}
for i = 2, #ARGV do
  local id, key = ARGV[i], TASK .. ARGV[i]
  local state, attempt, concurrency_key, lease = tasks.look(id, 'concurrency_key', 'lease')
  local place = PLACE[state or '']
  if not state then
    reply[#reply + 1] = 'unknown'
  elseif place then
    redis.call('ZREM', place, id)
    redis.call('ZREM', EXPIRING, id)
    if state == 'parked' then tasks.unpark(id, concurrency_key) end
    if state == 'pending' then tasks.pass_on(concurrency_key) end
    tasks.finish(id, state, 'cancelled', 'cancelled', attempt, tasks.batch_of(id))
    reply[#reply + 1] = 'cancelled'
  elseif state == 'running' then
    redis.call('HSET', key, 'cancel', 1, 'reason', 'cancelling')
    tasks.note('running', 'running', 'cancelling', id, attempt)
    reply[#reply + 1] = 'cancelling ' .. (string.match(lease or '', '^%d+ (%S+)') or '')
  else
    reply[#reply + 1] = state
  end
end
commit(ARGV[1])
return reply
