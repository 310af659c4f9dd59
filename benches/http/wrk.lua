-- What wrk sends, chosen by the argument after the URL's `--`, and one line of results that the bench reads.

-- Requests for many hosts (and paths), made once so that picking one costs little while wrk runs. They are spread by
-- a fixed stride, coprime to their number, so that neighbours in time are no neighbours in the proxy's tables.
local function spread(hosts, paths)
  local requests = {}
  local total = hosts * paths
  for i = 0, total - 1 do
    local n = (i * 7919) % total
    local host = "h" .. (n % hosts) .. ".example.com"
    local path = "/p" .. math.floor(n / hosts) .. "/x"
    requests[i + 1] = wrk.format("GET", path, { Host = host })
  end
  local turn = 0
  return function()
    turn = turn % total + 1
    return requests[turn]
  end
end

-- Requests of several clients, each of which brings its cookie.
local function clients(cookies)
  local requests = {}
  for i, cookie in ipairs(cookies) do
    requests[i] = wrk.format("GET", nil, { Host = wrk.headers["Host"], Cookie = cookie })
  end
  local turn = 0
  return function()
    turn = turn % #requests + 1
    return requests[turn]
  end
end

function init(args)
  local mode = args[1]
  if mode == "close" then
    wrk.headers["Connection"] = "close"
  elseif mode == "post" then
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/octet-stream"
    wrk.body = string.rep("x", tonumber(args[2]))
  elseif mode == "hosts" then
    -- Only these modes have a function to call per request; in the others wrk repeats one prepared request.
    request = spread(tonumber(args[2]), tonumber(args[3]))
  elseif mode == "cookies" then
    request = clients({ select(2, unpack(args)) })
  end
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    "RESULT requests=%d microseconds=%d connect=%d read=%d write=%d status=%d timeout=%d\n",
    summary.requests, summary.duration, errors.connect, errors.read, errors.write, errors.status, errors.timeout
  ))
end
