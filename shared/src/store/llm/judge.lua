-- Tells what validation thought of an answer, and what was served from a cache: counts it, corrects the model's live
-- statistics, and forgets a cached answer that is not valid.
-- KEYS   the gateway's fixed keys (lua/llm.lua)
-- ARGV   one JSON object:
--        live   [model id or '', category, half-life us, score 0 to 1 (-1: none)]
--        forget cache keys; usage, counts as in settle_call
-- reply  'ok'
-- cost   about 8 commands, and 1 for each answer to forget

local judged = cjson.decode(ARGV[1])
redis.call('ZREM', K.deadlines, '') -- frees nothing, but lets the script pass at maxmemory
for _, key in ipairs(judged.forget) do redis.call('DEL', prefix .. 'cache:' .. key) end
local score = tonumber(judged.live[4]) or -1
if score >= 0 then
  for _, field in ipairs(live_fields(judged.live[1], judged.live[2])) do
    learn_live(field, judged.live[3], function(f)
      f.score = (f.score * f.scored + score) / (f.scored + 1)
      f.scored = f.scored + 1
    end)
  end
end
count_usage(judged.usage, judged.counts)
return 'ok'
