-- Replaces what was reserved by what was used, once. KEYS: the reservation, the cells. Answers 1, or 0 where there is
-- no reservation. A rate's draw: what was reserved, capacity, least distance of steps, period, what was used (-1: as
-- reserved), in us. A quota's: units reserved, capacity, end of its window, units used (-1). `given[5]`: a draw whose
-- answer was lost; should it come only now, it finds a tombstone.

local text = redis.call('GET', KEYS[1])
if not text or text == '' then
  if given[6] then redis.call('SET', KEYS[1], '', 'PX', hold) end
  return 0
end
local reservation = cmsgpack.unpack(text)
redis.call('DEL', KEYS[1])
local number, count = reservation[1], given[5]
for _, draw in ipairs(draws) do
  local kind, key, place = draw[1], KEYS[draw[2]], draw[3]
  local charged = reservation[place + 1]
  if kind == LEASE then
    redis.call('ZREM', key, request)
  elseif charged >= 0 and kind == RATE then
    local cell = unpacked(redis.call('GET', key))
    if cell and cell[3] > 0 then
      local reserved, capacity, apart, spent = draw[4], draw[5], draw[6], draw[8]
      if spent >= 0 then
        spent = math.max(0, spent - (reservation[place + 1 + count] or 0))
        local tat = cell[1]
        if spent > reserved then
          cell[1] = math.max(tat, math.min(tat + spent - reserved, now + capacity + draw[7]))
          press(cell, math.max(0, tat - now), apart)
        elseif spent < reserved then
          local at = #cell
          while at > 3 and cell[at - 1] > number do at = at - 2 end
          if at > 3 then
            local back = math.min(reserved - spent, cell[at], math.max(0, tat - now))
            if back > 0 then
              cell[1] = tat - back
              lower(cell, at, back, apart)
            end
          end
        end
      end
      cell[3] = cell[3] - 1
      if cell[3] == 0 then
        for i = #cell, 4, -1 do cell[i] = nil end
      end
      keep_rate(key, cell)
    end
  elseif charged >= 0 then
    local reserved, capacity, closes = draw[4], draw[5], draw[6]
    local cell = unpacked(redis.call('GET', key), {closes, 0})
    if cell[1] > now and draw[7] >= 0 then
      local units = math.max(0, draw[7] - charged)
      local most = math.max(cell[2], 2 * capacity)
      if cell[1] ~= closes then
        cell[2] = math.min(cell[2] + math.max(0, units - reserved), most)
      else
        cell[2] = math.min(math.max(0, cell[2] + units - reserved), most)
      end
      keep_quota(key, cell)
    end
  end
end
return 1
