-- What comes to a journal from outside, what is kept beside it, and how it is read and followed.

-- The inbox is a hash: `<kind>:<id>` -> `<place>:<sha of what was said>:<item>`.
local function known(K, name)
  local item = redis.call('HGET', K .. ':i', name)
  if item then
    return string.match(item, '^%d+:([^:]*):')
  end
  return nil
end

-- node K kind id digest sha item now items_max again (now '': by Redis's clock)
F('input', function(T, a)
  local node, K, kind, id, digest, sha, item, now, items_max, again = unpack(a)
  local st, wid, wdig, wexp, park = J.get(K, 'st', 'wid', 'wdig', 'wexp', 'park')
  if not st then
    return {'GONE'}
  end
  local name = kind .. ':' .. id
  local before = known(K, name)
  if before then
    if kind == 'decision' and before ~= sha then
      return {'OTHERWISE'}
    end
    return {again == '1' and before == sha and 'OK' or 'SAME'}
  end
  if J.ended(st) then
    return {'SEALED', st}
  end
  if kind == 'decision' then
    if wid ~= id or wdig ~= digest then
      return {'NOT_WAITING'}
    end
    if wexp and wexp ~= '' and tonumber(wexp) <= (tonumber(now) or J.now()) then
      return {'EXPIRED'}
    end
  end
  local count = redis.call('HLEN', K .. ':i')
  if count >= tonumber(items_max) then
    return {'FULL'}
  end
  -- Not by one format: its %s would end a short item at the first zero byte.
  redis.call('HSET', K .. ':i', name, string.format('%06d:', count) .. sha .. ':' .. item)
  redis.call('HSET', K .. ':h', 'inb', count + 1, 'park', '0')
  local ver, row = J.changed(T, K, node, 'i', nil, nil, nil, item)
  if park == '1' then
    Q.offer(T, K)
  end
  return {'OK', ver, row}
end)

-- K term account
F('account', function(T, a)
  if not J.get(a[1], 'st') then
    return {'GONE'}
  end
  redis.call('HSET', a[1] .. ':a', a[2], a[3])
  return {'OK'}
end)

F('accounts', function(T, a)
  return redis.call('HVALS', a[1] .. ':a')
end, {'no-writes'})

-- K
F('inbox', function(T, a)
  return redis.call('HVALS', a[1] .. ':i')
end, {'no-writes'})

-- K
F('head', function(T, a)
  return P.row(a[1])
end, {'no-writes'})

-- node K after inbox until whole: what comes after the entry with the id `after` ('-': all), and the inbox if it holds more
-- than `inbox` items; the node is told of what comes until then (ms from now; 0: not).
F('follow', function(T, a)
  local node, K, after, inbox, keep, whole = unpack(a)
  local bh, packed, inb, rec = J.get(K, 'bh', 'packed', 'inb', 'rec')
  if not bh then
    return {'GONE', redis.call('GET', K .. ':x') or '0'}  -- the last erasure: what has a higher number is only lost
  end
  if keep ~= '0' then
    local now = J.now()
    redis.call('ZREMRANGEBYSCORE', K .. ':f', '-inf', now)
    redis.call('ZADD', K .. ':f', now + keep, node)
  end
  local entries, items, blob = {}, {}, {}
  if packed ~= '0' then
    if whole == '1' then
      blob = redis.call('HMGET', K .. ':b', 'data', 'sha', 'text_sha')
    end
  else
    entries = redis.call('XRANGE', K .. ':e', after == '-' and '-' or '(' .. after, '+')
  end
  if tonumber(inb) > tonumber(inbox) then
    items = redis.call('HVALS', K .. ':i')
  end
  return {'OK', P.row(K), whole == '1' and rec or '', entries, items, blob}
end, {'allow-oom'})

-- node until (K tail ver term epoch)...: which of these are not as told (by place, from 1). Those that are there are followed
-- on. `epoch` is the value of the field c<term>.
F('check', function(T, a)
  local node, keep, out = a[1], a[2], {}
  local until_ms = J.now() + keep
  for at = 3, #a, 5 do
    local K = a[at]
    local tail, ver, term, epoch = J.get(K, 'tail', 'ver', 'term', 'c' .. a[at + 3])
    if tail ~= a[at + 1] or ver ~= a[at + 2] or term ~= a[at + 3] or epoch ~= a[at + 4] then
      out[#out + 1] = (at + 2) / 5
    end
    if tail then
      redis.call('ZADD', K .. ':f', until_ms, node)
    end
  end
  return out
end, {'allow-oom'})

-- node until O...
F('watch', function(T, a)
  local until_ms = J.now() + a[2]
  for at = 3, #a do
    redis.call('ZREMRANGEBYSCORE', a[at] .. ':w', '-inf', until_ms - a[2])
    redis.call('ZADD', a[at] .. ':w', until_ms, a[1])
    redis.call('PEXPIRE', a[at] .. ':w', a[2])
  end
  return 'OK'
end, {'allow-oom'})

-- node O
F('unwatch', function(T, a)
  redis.call('ZREM', a[2] .. ':w', a[1])
  return 'OK'
end, {'allow-oom'})
