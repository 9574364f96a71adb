-- Keeps the same request that others wait for in the air: a leader that died is given up when it stops renewing.
-- KEYS   the gateway's fixed keys (lua/llm.lua)
-- ARGV   hash of the request, call, ms
-- reply  'ok' | 'gone' (somebody else makes the call)
-- cost   2 commands

local key = prefix .. 'flight:' .. ARGV[1]
if leader_of(ARGV[1]) ~= ARGV[2] then return 'gone' end
redis.call('PEXPIRE', key, ARGV[3])
return 'ok'
