-- Asks a circuit breaker whether a call may go, or tells it how a call went.
-- KEYS   the gateway's fixed keys (lua/llm.lua)
-- ARGV   name, 'ask' | 'success' | 'failure' | 'neither', why, threshold, recovery us, probes
-- reply  us to wait; 0: go
-- cost   3 commands

local name, what = ARGV[1], ARGV[2]
local threshold, recovery, probes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
redis.call('ZREM', K.deadlines, '') -- frees nothing, but lets the script pass at maxmemory
if what ~= 'ask' then
  breaker_told(name, what, ARGV[3], threshold, probes)
  return '0'
end
local b = breaker(name)
local wait = breaker_wait(b, recovery, probes)
if wait == 0 then breaker_passed(name, b, recovery) end
return told(wait)
