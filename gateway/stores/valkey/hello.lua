#!lua
-- A process says that it lives. KEYS: the epoch, the processes. ARGV: the process, an epoch should there be none, us
-- after which a process that is silent no longer counts (0: this one takes its leave). Answers {epoch, whether it was
-- made now, the time, processes}; of a leave there is no epoch to tell.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local silent = tonumber(ARGV[3])
if silent == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return {'', 0, now, redis.call('ZCARD', KEYS[2])}
end
local epoch, fresh = redis.call('GET', KEYS[1]), 0
if not epoch then
  epoch, fresh = ARGV[2], 1
end
redis.call('SET', KEYS[1], epoch, 'PX', 30 * 86400 * 1000)
redis.call('ZADD', KEYS[2], string.format('%d', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('(%d', now - silent))
redis.call('PEXPIRE', KEYS[2], 3600 * 1000)
return {epoch, fresh, now, redis.call('ZCARD', KEYS[2])}
