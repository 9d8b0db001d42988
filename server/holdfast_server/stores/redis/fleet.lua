-- What all nodes share, in the slot {hf}: T:beat until when each node lives, T:nodes what it says of itself, T:agents the tokens that it has
-- (<agent>/<node>), T:seq the last of its calls that counted, T:solo who waits to be empty for one that must run alone.

local function late(T, node, seq)
  local last = redis.call('HGET', T .. ':seq', node)
  if last and tonumber(last) >= tonumber(seq) then
    return true
  end
  redis.call('HSET', T .. ':seq', node, seq)
  return false
end

local function remove(T, node)
  redis.call('ZREM', T .. ':beat', node)
  redis.call('HDEL', T .. ':nodes', node)
  redis.call('HDEL', T .. ':seq', node)
  for _, name in ipairs(redis.call('HKEYS', T .. ':agents')) do
    local agent, its = string.match(name, '^(.*)/([^/]*)$')
    if its == node then
      redis.call('HDEL', T .. ':agents', name)
      redis.call('PUBLISH', 'hf:wake', 'a' .. agent)
    end
  end
  if redis.call('GET', T .. ':solo') == node then
    redis.call('DEL', T .. ':solo')
  end
end

-- node seq lease row agent tokens...: it lives, and has so many tokens; all that live: (node row)...
F('beat', function(T, a)
  local node, seq, lease, row = unpack(a, 1, 4)
  local now, out = N.awake(T, 'beat', lease), {}
  if not late(T, node, seq) then
    redis.call('ZADD', T .. ':beat', J.int(now + tonumber(lease)), node)
    redis.call('HSET', T .. ':nodes', node, row)
    for at = 5, #a, 2 do
      local name = a[at] .. '/' .. node
      if a[at + 1] == '0' then
        redis.call('HDEL', T .. ':agents', name)
      else
        redis.call('HSET', T .. ':agents', name, a[at + 1])
      end
    end
  end
  for _, dead in ipairs(redis.call('ZRANGEBYSCORE', T .. ':beat', '-inf', J.int(now))) do
    remove(T, dead)
  end
  for _, its in ipairs(redis.call('ZRANGE', T .. ':beat', 0, -1)) do
    out[#out + 1] = its
    out[#out + 1] = redis.call('HGET', T .. ':nodes', its) or ''
  end
  return out
end, {'allow-oom'})

-- How many tokens of the agent the nodes that live have, but for this one.
local function others(T, node, agent)
  local count = 0
  for _, its in ipairs(redis.call('ZRANGEBYSCORE', T .. ':beat', '(' .. J.int(J.now()), '+inf')) do
    if its ~= node then
      count = count + tonumber(redis.call('HGET', T .. ':agents', agent .. '/' .. its) or '0')
    end
  end
  return count
end

-- node agent...: how many tokens of each the other nodes have
F('others', function(T, a)
  local out = {}
  for at = 2, #a do
    out[#out + 1] = others(T, a[1], a[at])
  end
  return out
end, {'no-writes'})

-- node seq lease agent has wants most: this node has so many tokens of the agent, and wants to have so many from now on; how
-- many it has then. -1: a later call came first.
F('tokens', function(T, a)
  local node, seq, lease, agent, has, wants, most = unpack(a)
  if late(T, node, seq) then
    return -1
  end
  local now = N.awake(T, 'beat', lease)
  local count, name = tonumber(has), agent .. '/' .. node
  local had = tonumber(redis.call('HGET', T .. ':agents', name) or '0')
  if tonumber(wants) > count then
    -- By what the node says, not by what stands here: an answer that was lost may have given what the node does not use.
    count = math.max(count, math.min(tonumber(wants), tonumber(most) - others(T, node, agent)))
  end
  redis.call('ZADD', T .. ':beat', 'GT', J.int(now + tonumber(lease)), node)
  redis.call('HSET', T .. ':agents', name, J.int(count))
  if count < had then
    redis.call('PUBLISH', 'hf:wake', 'a' .. agent)
  end
  return count
end, {'allow-oom'})

-- node keep want: it waits to be empty for one that must run alone, or does not; whether it is the one that does
F('solo', function(T, a)
  local node, keep, want = unpack(a)
  local has = redis.call('GET', T .. ':solo')
  if want == '1' and (not has or has == node) then
    redis.call('SET', T .. ':solo', node, 'PX', keep)
    return 1
  elseif want ~= '1' and has == node then
    redis.call('DEL', T .. ':solo')
  end
  return 0
end, {'allow-oom'})

-- node
F('bye', function(T, a)
  remove(T, a[1])
  return 1
end, {'allow-oom'})

-- Writes nothing, and is no reading either: Redis refuses it whenever it would refuse a new request (full, a replica, a disk
-- that fails). The only one without a key, so that every server can be asked.
F('room', function()
  return 1
end)
