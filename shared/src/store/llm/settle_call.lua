-- Tells how a call went: corrects what was reserved, informs breaker, cooldowns, budgets, statistics and the cache,
-- and lets those go on who wait for the same answer. One round trip after a call.
-- KEYS   the gateway's fixed keys (lua/llm.lua)
-- ARGV   one JSON object, then the answer to cache or '':
--        call; model (breaker name); lane; verdict 'success' | 'failure' | 'neither'; class ('' for success)
--        used   [input, output] tokens, -1 if unknown; cost nano, -1 if unknown
--        cool   [name, us, reason] ...: who is not called for how long
--        taught [lane scope, limits per minute [requests, input, output] (0: not told), remaining [..] (-1: not told)]
--        flight hash or ''; cache key or ''; ttl ms
--        breaker [threshold, recovery us, probes]
--        live   [model id or '', category, half-life us, latency us, output tokens]
--        batch  whose figures the call is added to, or ''
--        usage  [model, type, tenant]; counts {name: number} added to the day's figures of the three
-- reply  'ok' | 'late' (the reservation had lapsed, and stays spent)
-- cost   about 20 commands, and 4 a budget
-- What ends the call comes first, and what only informs last: that must not stop the rest.

local told_call = cjson.decode(ARGV[1])
local call = told_call.call
local text = redis.call('HGET', K.calls, call)
redis.call('HDEL', K.calls, call) -- it frees memory, so that the script passes at maxmemory
redis.call('ZREM', K.deadlines, call)
local record = text and cjson.decode(text)

-- Unused tokens come back, never above the burst; what was used beyond is a debt.
local function correct(b, limits)
  refill(b, limits)
  b.inflight = math.max(0, b.inflight - 1)
  for d = 2, 3 do
    local used = told_call.used[d - 1]
    if used >= 0 and limits[d] > 0 then
      local unused = math.min(record.need[d], limits[d]) - used
      if unused > 0 then
        b.level[d] = math.max(b.level[d], math.min(b.burst[d], b.level[d] + unused))
      elseif unused < 0 then
        b.level[d], b.taken = math.min(b.level[d], b.burst[d]) + unused, now
      end
    end
  end
end
local function correct_buckets()
  local names, known = {}, {}
  for i, scope in ipairs(record.scopes) do names[i] = scope[1] end
  if #names == 0 then return end
  local packed = redis.call('HMGET', K.buckets, unpack(names))
  for i, scope in ipairs(record.scopes) do
    if packed[i] then
      local b = bucket(scope[1], packed[i])
      correct(b, scope[2])
      known[#known + 1] = b
    end
  end
  keep_buckets(known)
end

-- What the provider's headers say: limits, for where we know none, and less left than we thought.
local function learn()
  local scope, limits, remaining = told_call.taught[1], told_call.taught[2], told_call.taught[3]
  local l, news = learned_limits(redis.pcall('HGET', K.learned, scope)), false
  for d = 1, 3 do
    if limits[d] > 0 then l[d], news = limits[d], true end
  end
  if news then
    tidy(K.learned, 2000, function(old) return (old[4] or 0) < now - HOUR end)
    redis.pcall('HSET', K.learned, scope, pack(l[1], l[2], l[3], now))
  end
  local known = { l[1], l[2], l[3], 0 }
  for _, s in ipairs(record and record.scopes or {}) do
    for d = 1, 3 do
      if s[1] == scope and s[2][d] > 0 then known[d] = s[2][d] end
    end
  end
  local b, less = bucket(scope, redis.call('HGET', K.buckets, scope)), false
  refill(b, known)
  for d = 1, 3 do
    if known[d] > 0 and remaining[d] >= 0 and remaining[d] < math.min(b.level[d], b.burst[d]) then
      b.level[d], b.taken, less = remaining[d], now, true
    end
  end
  if less then keep_bucket(b) end
end

local function cool_down(name, us, reason)
  local cooling = redis.call('HGET', K.cooldowns, name)
  local c = read(cooling)
  -- One that ends later stays, unless there is more left of it than there was: the clock was set back since.
  if #c > 1 and now + us <= c[1] and c[1] - now <= c[2] then return end
  if not cooling then
    tidy(K.cooldowns, 1000, function(old) return old[1] < now or old[1] > now + (old[2] or 0) end)
  end
  redis.call('HSET', K.cooldowns, name, told(now + us) .. ' ' .. told(us) .. ' ' .. reason)
  event('cooling', name, 'us', told(us), 'why', reason)
end

if record then
  correct_buckets()
  -- Unknown cost is what was reserved.
  settle_budgets(record, told_call.cost >= 0 and math.min(MOST, told_call.cost) or record.cost, 'calls')
end
if told_call.cache ~= '' and ARGV[2] ~= '' and told_call.ttl > 0 then
  redis.call('SET', prefix .. 'cache:' .. told_call.cache, ARGV[2], 'PX', told(math.min(MOST / 1000, told_call.ttl)))
end
if told_call.flight ~= '' then
  local leader, is_awaited = leader_of(told_call.flight)
  if leader == call then redis.call('DEL', prefix .. 'flight:' .. told_call.flight) end
  if leader == call and is_awaited then
    redis.call('XADD', prefix .. 'landed:' .. call, '*', 'class', told_call.class)
    redis.call('PEXPIRE', prefix .. 'landed:' .. call, 60000)
  end
end
-- A call that outlasted its reservation tells of times past.
if record then
  breaker_told(told_call.model, told_call.verdict, told_call.class, told_call.breaker[1], told_call.breaker[3], record.opens)
end
for _, cool in ipairs(told_call.cool) do cool_down(cool[1], math.min(MOST, cool[2]), cool[3]) end
if told_call.taught[1] then learn() end
if told_call.verdict ~= 'neither' then
  for _, field in ipairs(live_fields(told_call.live[1], told_call.live[2])) do
    learn_live(field, told_call.live[3], function(f)
      f.calls = f.calls + 1
      if told_call.verdict ~= 'success' then return end
      f.latency = (f.latency * f.successes + math.min(MOST, told_call.live[4])) / (f.successes + 1)
      f.output = (f.output * f.successes + math.min(MOST, told_call.live[5])) / (f.successes + 1)
      f.successes = f.successes + 1
    end)
  end
end
count_usage(told_call.usage, told_call.counts)
-- What the calls of a batch add up to: when it was told last, cost, calls. Forgotten after some days, if there are many.
local function count_batch(batch, cost)
  local key = prefix .. 'batches'
  local known = redis.pcall('HGET', key, batch)
  if type(known) == 'table' then return end -- it is no hash
  if not known then tidy(key, 10000, function(old) return (old[1] or 0) < now - 7 * DAY end) end
  local sums = read(known)
  redis.pcall('HSET', key, batch, pack(now, (sums[2] or 0) + cost, (sums[3] or 0) + 1))
end
if told_call.batch ~= '' then
  local reserved = record and record.cost or 0
  count_batch(told_call.batch, told_call.cost >= 0 and math.min(MOST, told_call.cost) or reserved)
end
return record and 'ok' or 'late'
