-- Charges what has been used beside a reservation, in debt where it doesn't fit. KEYS: the reservation, the cells.
-- Answers {the time, then for each draw that was charged {its place, units that are new, what its cell held}}, or {}
-- where there is no reservation. `given[5]`: draws of the request. `given[6]`: what was used elsewhere: there is no
-- reservation, and its key remembers that this has been done. A rate's draw: units used since the request began, their cost and the capacity in us,
-- least distance of steps, period, cost of a whole capacity. A quota's: units used, capacity, end of its window, period.

local text = redis.call('GET', KEYS[1])
local elsewhere, reservation = given[6], {now, 0}
if elsewhere then
  if text then return {} end
else
  if not text or text == '' then return {} end
  reservation = cmsgpack.unpack(text)
end
local count, answer = given[5], {now}
for i = #reservation + 1, 2 * count + 1 do reservation[i] = 0 end
for _, draw in ipairs(draws) do
  local kind, key, place, used = draw[1], KEYS[draw[2]], draw[3], draw[4]
  local before = reservation[place + 1]
  if before >= 0 and used > before then
    reservation[place + 1] = used
    if kind == RATE then
      local capacity = draw[6]
      local cell = unpacked(redis.call('GET', key), {0, 0, 0})
      local step = math.max(0, draw[5] - reservation[place + 1 + count])
      reservation[place + 1 + count] = draw[5]
      if step <= draw[9] then step = math.min(step, capacity) end
      local backlog = math.max(0, cell[1] - now)
      answer[#answer + 1] = {place, used - before, cell[1]}
      if cell[3] > 0 then
        cell[2] = math.max(now, cell[2] + 1)
        mark(cell, cell[2], cell[1] - now, draw[7])
      end
      cell[1] = now + math.max(backlog, math.min(backlog + step, capacity + draw[8]))
      keep_rate(key, cell)
    else
      local capacity = draw[5]
      local cell = unpacked(redis.call('GET', key), {0, 0})
      answer[#answer + 1] = {place, used - before, cell[1], cell[2]}
      window(cell, draw[6], draw[7])
      cell[2] = math.max(cell[2], math.min(cell[2] + used - before, 2 * capacity))
      keep_quota(key, cell)
    end
  end
end
redis.call('SET', KEYS[1], elsewhere and '' or cmsgpack.pack(reservation), 'PX', hold)
return answer
