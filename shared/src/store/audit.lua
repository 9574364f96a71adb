-- Tells what is wrong with the given tasks, each seen at one moment. Changes nothing.
-- KEYS   the queue's fixed keys (lua/queue.lua's order)
-- ARGV   id ...
-- reply  for each fault: id, words
-- cost   9 reads a task

local prefix = string.sub(KEYS[1], 1, -5)
local PLACES = { pending = KEYS[3], running = KEYS[4], scheduled = KEYS[5], parked = KEYS[6], failed = KEYS[8],
  blocked = KEYS[15] }
local FINAL = { completed = true, failed = true, cancelled = true, expired = true }
local faults = {}
local function fault(id, words) faults[#faults + 1] = { id, words } end
for _, id in ipairs(ARGV) do
  local spec = redis.call('GETRANGE', prefix .. 'spec:' .. id, 0, 4095)
  local t = redis.call('HMGET', prefix .. 'task:' .. id, 'state', 'concurrency_key', 'lease', 'finished_at')
  local state = t[1] or spec ~= '' and 'pending' or nil
  for name, place in pairs(PLACES) do
    local there = redis.call('ZSCORE', place, id)
    if there and not state then
      fault(id, 'is in `' .. name .. '` but has no record')
    elseif there and state ~= name then
      fault(id, 'is in `' .. name .. '` but its state is `' .. state .. '`')
    elseif state == name and not there then
      fault(id, 'has state `' .. name .. '` but is not there')
    end
  end
  if state then
    if not PLACES[state] and not FINAL[state] then fault(id, 'has the unknown state `' .. state .. '`') end
    if spec == '' then
      fault(id, 'has no spec')
    elseif not string.find(spec, '^[^\n]-type=%S') then
      fault(id, 'has no type')
    end
    if state == 'running' and not string.find(t[3] or '', '^%d+ %S+ %d+ ') then fault(id, 'runs without a lease') end
    if FINAL[state] and not t[4] then fault(id, 'is `' .. state .. '` without finished_at') end
    if state == 'parked' and not redis.call('ZSCORE', prefix .. 'parked:' .. (t[2] or ''), id) then
      fault(id, 'is parked but its concurrency key does not list it')
    end
  end
end
return faults
