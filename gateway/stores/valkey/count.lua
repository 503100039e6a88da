-- Adds to a window that opens with its first unit. KEYS: the window. Answers {the time, units, end of the window in us},
-- of which the end is 0 where none is open. `given[5]`: units; `given[6]`: period in us, 0 to look alone.

local units, period = given[5], given[6]
local cell = unpacked(redis.call('GET', KEYS[1]), {0, 0})
if period == 0 then
  if cell[1] <= now then return {now, 0, 0} end
else
  if cell[1] <= now then cell = {now + period, 0} end
  cell[2] = math.max(0, cell[2] + units)
  keep_quota(KEYS[1], cell)
end
return {now, cell[2], cell[1]}
