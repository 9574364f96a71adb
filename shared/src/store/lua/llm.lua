-- What every script of the gateway begins with: names for KEYS, Redis's clock, and records packed as words.
-- All times are microseconds of Redis's clock, money is whole nano-dollars.

local K = {
  breakers = KEYS[1], cooldowns = KEYS[2], buckets = KEYS[3], calls = KEYS[4], deadlines = KEYS[5],
  budgets = KEYS[6], live = KEYS[7], events = KEYS[8], learned = KEYS[9], budget_uses = KEYS[10],
}
local prefix = string.sub(KEYS[1], 1, -9)
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local SECOND, MINUTE, HOUR, DAY = 1000000, 60 * 1000000, 3600 * 1000000, 86400 * 1000000
-- No figure of one call is larger. Sums stay whole numbers, whatever a provider says of itself.
local MOST = 1000000000000000

-- Numbers as words: moments have sixteen digits, and levels need a fraction.
local function pack(...)
  local words = { ... }
  for i = 1, #words do
    local number = words[i]
    words[i] = string.format(number % 1 == 0 and '%d' or '%.6f', number)
  end
  return table.concat(words, ' ')
end
local function read(text)
  local numbers = {}
  for word in string.gmatch(text or '', '%S+') do numbers[#numbers + 1] = tonumber(word) or 0 end
  return numbers
end
local function told(number) return string.format('%d', number) end
-- What only informs (events, figures, statistics) is written with pcall: its loss must stop nobody.
local function event(...)
  redis.pcall('XADD', K.events, 'MAXLEN', '~', 1000, '*', ...)
end

-- Hashes whose names come from users and models grow: beyond `most` fields a write drops some that are over.
local function tidy(key, most, over)
  local size = redis.pcall('HLEN', key)
  if type(size) ~= 'number' or size <= most then return end
  local some, gone = redis.call('HRANDFIELD', key, 20, 'WITHVALUES'), {}
  for i = 1, #some, 2 do
    if over(read(some[i + 1])) then gone[#gone + 1] = some[i] end
  end
  if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
end

-- The sums of `packed` ('figure number' ...) with `counts` added.
local function added(packed, counts)
  local sums, words = {}, {}
  for what, n in string.gmatch(packed or '', '(%S+) (%S+)') do sums[what] = tonumber(n) end
  for what, n in pairs(counts) do
    if n ~= 0 then sums[what] = (sums[what] or 0) + math.max(-MOST, math.min(MOST, n)) end
  end
  for what, n in pairs(sums) do words[#words + 1] = what .. ' ' .. told(n) end
  return table.concat(words, ' ')
end
-- Adds counts to the day's figures of a model, a type and a tenant: one field for the three together.
local function count_usage(of, counts)
  if of[1] == '' then return end
  local key = prefix .. 'usage:' .. told(math.floor(now / DAY))
  local name = of[1] .. '\n' .. of[2] .. '\n' .. of[3]
  local packed, new = redis.pcall('HGET', key, name), false
  if packed == false then
    local size = redis.call('HLEN', key)
    new = size == 0
    if size >= 20000 then
      -- Names come from users: tenants that come later are counted together.
      name = of[1] .. '\n' .. of[2] .. '\n(other)'
      packed = redis.call('HGET', key, name)
    end
  end
  if type(packed) == 'table' then return end -- it is no hash
  redis.pcall('HSET', key, name, added(packed, counts))
  if new then redis.call('PEXPIRE', key, told(40 * DAY / 1000)) end
end

-- What a model taught lately, in all and in one category. What separates the two is in no category.
local function live_fields(model, category)
  if model == '' then return {} end
  if category == '' then return { model .. '|' } end
  return { model .. '|', model .. '|' .. (string.gsub(category, '|', '/')) }
end
-- Exponentially decayed means: at, weight, successes, latency us, scored, score, output tokens. `learn` changes them.
local function learn_live(field, half_life, learn)
  local packed = redis.pcall('HGET', K.live, field)
  local l = read(type(packed) == 'string' and packed)
  if #l == 0 then
    tidy(K.live, 2000, function(old) return (old[2] or 0) * 0.5 ^ ((now - old[1]) / half_life) < 0.01 end)
    local size = redis.pcall('HLEN', K.live)
    if type(size) ~= 'number' or size >= 5000 then return end -- every node reads them all
  end
  local keep = #l > 0 and 0.5 ^ (math.max(0, now - l[1]) / math.max(1, half_life)) or 0
  local figures = { calls = (l[2] or 0) * keep, successes = (l[3] or 0) * keep, latency = l[4] or 0,
    scored = (l[5] or 0) * keep, score = l[6] or 0, output = l[7] or 0 }
  learn(figures)
  redis.pcall('HSET', K.live, field, pack(now, figures.calls, figures.successes, figures.latency, figures.scored,
    figures.score, figures.output))
end

-- A circuit breaker: closed, open, half-open. One hash field: state, failures in a row, opened at, probes out,
-- probes that succeeded, how often it opened, last probe at.
local CLOSED, OPEN, HALF = 0, 1, 2
local function breaker(name)
  local b = read(redis.call('HGET', K.breakers, name))
  return { state = b[1] or CLOSED, failures = b[2] or 0, opened_at = b[3] or 0, probes = b[4] or 0,
    successes = b[5] or 0, opens = b[6] or 0, probed_at = b[7] or 0, new = #b == 0 }
end
local function keep_breaker(name, b)
  if b.new then
    tidy(K.breakers, 2000, function(old) return math.max(old[3] or 0, old[7] or 0) < now - DAY end)
  end
  redis.call('HSET', K.breakers, name,
    pack(b.state, b.failures, b.opened_at, b.probes, b.successes, b.opens, b.probed_at))
end
-- Probes that were never heard of again are given up after a recovery time, and when the clock was set back.
local function probes_out(b, recovery)
  if b.state == OPEN or now < b.probed_at or now >= b.probed_at + recovery then return 0 end
  return b.probes
end
-- How long the breaker keeps a call back; 0 lets it through (the caller then says so with breaker_passed).
local function breaker_wait(b, recovery, probes)
  if b.state == CLOSED then return 0 end
  -- A clock that was set back must not keep it open.
  if b.state == OPEN and b.opened_at <= now and now < b.opened_at + recovery then return b.opened_at + recovery - now end
  if probes_out(b, recovery) >= probes then return SECOND end
  return 0
end
local function breaker_passed(name, b, recovery)
  if b.state == CLOSED then return end
  b.probes = probes_out(b, recovery) + 1
  b.probed_at = now
  if b.state == OPEN then b.state = HALF; event('breaker', name, 'state', 'half_open') end
  keep_breaker(name, b)
end
local function breaker_open(name, b, why)
  b.state, b.opened_at, b.probes, b.successes, b.opens = OPEN, now, 0, 0, b.opens + 1
  event('breaker', name, 'state', 'open', 'why', why)
end
-- `verdict`: 'success', 'failure', or 'neither' (the call says nothing about the other side's health). `opens`: how
-- often the breaker had opened when the call went, where that is known: a call from before tells of times past.
local function breaker_told(name, verdict, why, threshold, probes, opens)
  local b = breaker(name)
  if opens and opens ~= b.opens then return end
  if b.state == CLOSED then
    if verdict == 'failure' then
      b.failures = b.failures + 1
      if b.failures >= threshold then breaker_open(name, b, why) end
    elseif verdict == 'success' and b.failures > 0 then
      b.failures = 0
    else
      return
    end
  else
    if b.probes == 0 then return end -- no probe is out, so this was none: it is open, or half-open again
    b.probes = b.probes - 1
    if verdict == 'failure' then
      breaker_open(name, b, why)
    elseif verdict == 'success' then
      b.successes = b.successes + 1
      if b.successes >= probes then
        b.state, b.failures, b.probes = CLOSED, 0, 0
        event('breaker', name, 'state', 'closed')
      end
    end
  end
  keep_breaker(name, b)
end

-- The call that makes a request which others ask, too; and whether one of them waits for it.
local function leader_of(request)
  local words = redis.call('GET', prefix .. 'flight:' .. request)
  if words then return string.match(words, '^%S+'), string.find(words, ' ', 1, true) ~= nil end
end
