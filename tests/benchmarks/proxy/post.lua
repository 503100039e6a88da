-- Requests for wrk: a pool of distinct bodies, each with the next of the keys, made once before the first is sent.
--   wrk … -s post.lua URL -- BODIES KEYS [name value]…       both files have one item a line
local requests, at = {}, 0

local function lines(path)
  local found = {}
  for line in io.lines(path) do found[#found + 1] = line end
  return found
end

function init(args)
  local bodies, keys = lines(args[1]), lines(args[2])
  wrk.headers["content-type"] = "application/json"
  for i = 3, #args - 1, 2 do wrk.headers[args[i]] = args[i + 1] end
  for i, body in ipairs(bodies) do
    wrk.headers["authorization"] = "Bearer " .. keys[(i - 1) % #keys + 1]
    requests[i] = wrk.format("POST", nil, nil, body)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

-- Times are in microseconds.
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    'figures {"n": %d, "micros": %d, "status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d, ' ..
    '"p50": %.1f, "p90": %.1f, "p99": %.1f, "max": %.1f}\n',
    summary.requests, summary.duration, e.status, e.connect, e.read, e.write, e.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max))
end
