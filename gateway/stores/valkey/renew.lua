-- Moves the deadlines of a request. KEYS: the reservation, the cells. Answers 1, or 0 where there is no reservation. A
-- lease's draw: its period. A lease that has expired stays gone.

local text = redis.call('GET', KEYS[1])
if not text or text == '' then return 0 end
redis.call('PEXPIRE', KEYS[1], hold)
for _, draw in ipairs(draws) do
  local key = KEYS[draw[2]]
  if draw[1] == LEASE then
    local deadline = redis.call('ZSCORE', key, request)
    if deadline and tonumber(deadline) > now then
      redis.call('ZADD', key, string.format('%d', now + draw[4]), request)
      redis.call('PEXPIRE', key, ms(draw[4]), 'GT')
    end
  elseif draw[1] == RATE then
    redis.call('PEXPIRE', key, hold, 'GT')
  end
end
return 1
