-- Deletes up to STEP tasks of one state with their records. Call again until it answers 0.
--   transition: pending>none purged
--   transition: scheduled>none purged
--   transition: parked>none purged
--   transition: blocked>none purged
--   transition: completed>none purged
--   transition: failed>none purged
--   transition: cancelled>none purged
--   transition: expired>none purged
--   transition: parked>pending unparked
-- KEYS   the queue's fixed keys (lua/queue.lua)
-- ARGV   by, state, cursor of the finished log ('-' to begin; used for completed, cancelled, expired)
-- reply  { number deleted, next cursor or '' when there is nothing more }
-- events one entry
-- cost   about 5 commands a task

redis.call('ZREM', RUNNING, '') -- frees nothing, but lets the script pass at maxmemory
local tasks = task_helpers()
local state, cursor = ARGV[2], ARGV[3]
local WAITING = { pending = PENDING, scheduled = SCHEDULED, parked = PARKED, blocked = BLOCKED,
  failed = DEAD }
local ids, next_cursor, deleted = {}, '', 0

if WAITING[state] then
  ids = redis.call('ZRANGE', WAITING[state], 0, STEP - 1)
  if #ids == STEP then next_cursor = '-' end
elseif state ~= 'running' then
  -- The log keeps its entries: they are skipped later, since their records are gone.
  for _, entry in ipairs(redis.call('XRANGE', FINISHED, cursor, '+', 'COUNT', 1)) do
    next_cursor = '(' .. entry[1]
    for i = 1, #entry[2], 2 do
      if entry[2][i] == state or entry[2][i] == 'batched' then
        for id in string.gmatch(entry[2][i + 1], '%S+') do ids[#ids + 1] = id end
      end
    end
  end
end
local gone = {}
for _, id in ipairs(ids) do
  local is, attempt, concurrency_key = tasks.look(id, 'concurrency_key')
  if is == state then
    local batch = tasks.batch_of(id)
    gone[#gone + 1] = TASK .. id
    gone[#gone + 1] = SPEC .. id
    if WAITING[state] then
      redis.call('ZREM', WAITING[state], id)
      redis.call('ZREM', EXPIRING, id)
    end
    if state == 'parked' then tasks.unpark(id, concurrency_key) end
    if state == 'pending' then tasks.pass_on(concurrency_key) end
    if batch and redis.call('EXISTS', batch_key(batch)) == 1 then
      count_in_batch(batch, 'total', -1)
      if state == 'completed' or state == 'failed' or state == 'cancelled' or state == 'expired' then
        count_in_batch(batch, state, -1)
      end
    end
    tasks.note(state, 'none', 'purged', id, attempt)
    deleted = deleted + 1
  elseif WAITING[state] and not is then
    redis.call('ZREM', WAITING[state], id) -- an entry without a record: nothing else would ever remove it
  end
end
if #gone > 0 then redis.call('UNLINK', unpack(gone)) end
commit(ARGV[1])
return { deleted, next_cursor }
