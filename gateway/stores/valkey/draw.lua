-- All draws of a request, or none. KEYS: the reservation, the cells. Answers {drawn (1), refused (0) or known (-1), the
-- time, then for each cell what it held: TAT; {end, used}; leases alive}. A rate's draw: cost and capacity in us (a
-- cost of -1 never fits), least distance of steps, shadow. A quota's: units, capacity, end of its window, period,
-- shadow. A lease's: slots, period, shadow. A request without a name reserves nothing: what it draws stays drawn.

local texts = redis.call('MGET', unpack(KEYS))
if texts[1] then return {-1, now} end
local cells, met = {}, {1, now}
for _, draw in ipairs(draws) do
  local kind, at = draw[1], draw[2]
  if not cells[at] then
    if kind == RATE then
      local cell = unpacked(texts[at], {0, 0, 0})
      if set_back(cell) then keep_rate(KEYS[at], cell) end
      cells[at], met[at + 1] = cell, cell[1]
    elseif kind == QUOTA then
      local cell = unpacked(texts[at], {0, 0})
      cells[at], met[at + 1] = cell, {cell[1], cell[2]}
    else
      local live = redis.call('ZCOUNT', KEYS[at], '(' .. string.format('%d', now), '+inf')
      cells[at], met[at + 1] = {live}, live
    end
  end
end

local number, taken, leases = now, {}, {}
for i, draw in ipairs(draws) do
  local kind, cell, ok, shadow = draw[1], cells[draw[2]], false, false
  if kind == RATE then
    local cost, capacity = draw[4], draw[5]
    shadow = draw[7]
    local backlog = math.max(0, cell[1] - now)
    ok = cost >= 0 and backlog + cost <= capacity
    if ok then
      number = math.max(number, cell[2] + 1)
      taken[i] = cell[1] - now
      cell[1] = now + backlog + cost
    end
  elseif kind == QUOTA then
    shadow = draw[8]
    window(cell, draw[6], draw[7])
    ok = cell[2] + draw[4] <= draw[5]
    if ok then
      cell[2] = cell[2] + draw[4]
      taken[i] = 0
    end
  else
    shadow = draw[6]
    ok = cell[1] < draw[4]
    if ok then
      if not leases[draw[2]] then cell[1] = cell[1] + 1 end
      leases[draw[2]] = draw[5]
      taken[i] = 0
    end
  end
  if not ok and not shadow then
    met[1] = 0
    return met
  end
end

local held = request ~= ''
local reservation, some, rates, quotas = {number}, false, {}, {}
for i, draw in ipairs(draws) do
  local kind, at = draw[1], draw[2]
  if taken[i] then
    some = true
    reservation[i + 1] = 0
    if kind == RATE then
      local cell = cells[at]
      if held or cell[3] > 0 then mark(cell, number, taken[i], draw[6]) end
      cell[2], cell[3] = number, cell[3] + (held and 1 or 0)
      rates[at] = true
    elseif kind == QUOTA then
      quotas[at] = true
    end
  else
    reservation[i + 1] = -1
  end
end
for at in pairs(rates) do keep_rate(KEYS[at], cells[at]) end
for at in pairs(quotas) do keep_quota(KEYS[at], cells[at]) end
for at, period in pairs(leases) do
  local key = KEYS[at]
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%d', now))
  redis.call('ZADD', key, string.format('%d', now + period), request)
  if met[at + 1] > 0 then redis.call('PEXPIRE', key, ms(period), 'GT') else redis.call('PEXPIRE', key, ms(period)) end
end
if some and held then redis.call('SET', KEYS[1], cmsgpack.pack(reservation), 'PX', hold) end
return met
