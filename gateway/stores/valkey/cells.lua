-- What the scripts share: the twin of the arithmetic in gateway/quotas.py, on whole numbers below 2^53.
-- A rate's cell is {TAT, number of its last draw, open reservations, start, level, start, level, ...}: TAT in us, then
-- the marks. A quota's cell is {end of its window in us, units used}. A reservation is {number of its draw, then for
-- each draw the units charged beside it (-1: it took nothing), then for each draw what those cost in us}; a tombstone
-- is the empty string. ARGV[1] is msgpack: the time in us (0: the server's), ms that a reservation lasts, the request,
-- and the draws: kind, cell (its place in KEYS), place in the request, and what gateway/stores/valkey/script.py adds.

local UNMET = 9007199254740991
local RATE, QUOTA, LEASE = 1, 2, 3

local given = cmsgpack.unpack(ARGV[1])
local now, hold, request, draws = given[1], given[2], given[3], given[4]
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local function unpacked(text, empty)
  if text and text ~= '' then return cmsgpack.unpack(text) end
  return empty
end

local function ms(us)
  return string.format('%d', math.max(1, math.ceil(us / 1000)))
end

-- No step is higher than the backlog, and none that changed is nearer than `apart` to the one before.
local function press(cell, backlog, apart)
  local last = #cell
  local at = last
  while at > 3 and cell[at] >= backlog do at = at - 2 end
  if at == last then return end
  local start = cell[at + 1]
  for i = last, at + 1, -1 do cell[i] = nil end
  if at > 3 and backlog - cell[at] < apart then return end
  cell[at + 1], cell[at + 2] = start, backlog
end

-- The marks after a draw of this number, which met this backlog.
local function mark(cell, number, backlog, apart)
  if backlog <= 0 then
    for i = #cell, 4, -1 do cell[i] = nil end
  else
    press(cell, backlog, apart)
  end
  local last = #cell
  cell[last + 1], cell[last + 2] = number, UNMET
end

-- Steps from `at` (the place of a level) on are lower by `by`; the stairs still rise.
local function lower(cell, at, by, apart)
  local old = {}
  for i = at - 1, #cell do old[#old + 1] = cell[i] end
  for i = #cell, at - 1, -1 do cell[i] = nil end
  for i = 1, #old, 2 do
    local oldest, level = old[i], old[i + 1]
    if level ~= UNMET then level = level - by end
    local last = #cell
    while last > 3 and cell[last] >= level do
      oldest = cell[last - 1]
      cell[last], cell[last - 1] = nil, nil
      last = last - 2
    end
    if last <= 3 or level - cell[last] >= apart then
      cell[last + 1], cell[last + 2] = oldest, level
    end
  end
end

-- Whether the server's clock was set back since the last draw, whose number is its time: then all that was due is due
-- as much earlier, or whoever had a backlog would wait until the clock has caught up. Marks of numbers to come are gone.
local function set_back(cell)
  local by = cell[2] - now
  if by < 1000000 then return false end
  for i = #cell, 4, -1 do cell[i] = nil end
  cell[1], cell[2] = cell[1] - by, now
  return true
end

local function keep_rate(key, cell)
  local left = cell[1] - now
  if cell[3] > 0 then
    redis.call('SET', key, cmsgpack.pack(cell), 'PX', ms(math.max(left, hold * 1000)))
  elseif left > 0 then
    redis.call('SET', key, cmsgpack.pack(cell), 'PX', ms(left))
  else
    redis.call('DEL', key)
  end
end

-- A window without a unit in it is none: made-up keys, whose requests cost nothing in the end, leave nothing behind.
local function keep_quota(key, cell)
  if cell[1] > now and cell[2] > 0 then
    redis.call('SET', key, cmsgpack.pack(cell), 'PX', ms(cell[1] - now))
  else
    redis.call('DEL', key)
  end
end

-- The window that counts a draw whose own closes then: the open one where its own is over, the one before where its
-- own has not begun.
local function window(cell, closes, period)
  if closes <= now then
    if cell[1] > now then return end
    local since = now - closes
    closes = closes + since - math.fmod(since, period) + period
  elseif closes - period > now then
    closes = closes - period
  end
  if cell[1] ~= closes then cell[1], cell[2] = closes, 0 end
end
