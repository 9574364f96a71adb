-- A node's beat on a queue: extends its leases, takes progress reports, tells what was lost or is to be cancelled,
-- and does the upkeep, so that an idle fleet promotes and recovers as well.
--   transition: scheduled>pending due
--   transition: pending>expired expired
--   transition: scheduled>expired expired
--   transition: parked>expired expired
--   transition: parked>pending unparked
--   transition: running>pending lease_expired
--   transition: running>failed crashed
--   transition: running>cancelled cancelled
--   transition: completed>none forgotten
--   transition: failed>none forgotten
--   transition: cancelled>none forgotten
--   transition: expired>none forgotten
-- KEYS   the queue's fixed keys (lua/queue.lua)
-- ARGV   node, lease us, most crashes, n, then for each task: id, attempt, progress JSON or ''
-- reply  { lost ids }, { ids to cancel }, 'work' | 'idle', next moment us or 0, now us, partitions of the queue (told
--        by its first one), 'spare' | 'needed': whether the upkeep would have been done in time without this call
-- events one entry if upkeep moved anything
-- cost   1 read a task and about 8 commands a call

local node, lease, max_crashes, n = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREM', RUNNING, '') -- frees nothing, but lets the script pass at maxmemory
local tasks = n > 0 and task_helpers()
local lost, cancelled, leases = {}, {}, {}
for i = 1, n do
  local a = 5 + (i - 1) * 3
  local id, key = ARGV[a], TASK .. ARGV[a]
  local t = redis.call('HMGET', key, 'state', 'lease', 'cancel')
  if t[1] == 'running' and tasks.holds(t[2], ARGV[a + 1], node) then
    leases[#leases + 1], leases[#leases + 2] = now + lease, id
    if ARGV[a + 2] ~= '' then redis.call('HSET', key, 'progress', ARGV[a + 2]) end
    if t[3] then cancelled[#cancelled + 1] = id end
  else
    lost[#lost + 1] = id
  end
end
if #leases > 0 then redis.call('ZADD', RUNNING, 'XX', unpack(leases)) end
lease_of_node(lease)
-- Once nothing runs, a lease that was longer once no longer decides what an outage is.
if n == 0 and stored_lease > lease and redis.call('ZCARD', RUNNING) == 0 then
  stored_lease, longest_lease = lease, lease
end
-- Others were here a moment ago, and nothing was overdue.
local A_MOMENT = 100000
local spare = now - seen_at < A_MOMENT and upkeep_at > now - A_MOMENT
upkeep(max_crashes)
commit(node)
local work = not paused and redis.call('ZCARD', PENDING) > 0
  and not (concurrency and redis.call('ZCARD', RUNNING) >= concurrency)
return {
  lost, cancelled, work and 'work' or 'idle', text(next_due()), now_text, meta[5] or '1', spare and 'spare' or 'needed',
}
