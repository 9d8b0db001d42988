-- The life of a journal: opened, written, given back, parked, sealed.
--
-- Answers begin with a word: OK and what it made, or why not. `again` = '1' says that the caller does not know whether the
-- same call was done: then it answers as it would have then.
local NUMBER_STEP = 64
local TOMB_S = 86400
local FOLLOWERS_MS = 60000  -- of an ended journal: nobody cleans the list any more

local function fence(K, term, nonce)
  local st, has, its, lease, tail = J.get(K, 'st', 'term', 'nonce', 'lease', 'tail')
  if not st then
    return {'GONE'}, 0, ''  -- lost or erased: who writes it again is told which
  end
  tail = tonumber(tail)
  if J.ended(st) then
    return {'SEALED', st}, tail, its
  end
  if tonumber(has) < tonumber(term) then
    return {'BEHIND', tail}, tail, its
  end
  if has ~= term or its ~= nonce or lease ~= '1' then
    return {'FENCED', has, its, lease}, tail, its
  end
  return nil, tail, its
end

-- Whether the last thing in the journal is exactly this: the call was done, and its answer lost.
local function done(K, id, blob, nonce)
  local last = redis.call('XREVRANGE', K .. ':e', '+', '-', 'COUNT', 1)[1]
  return last and last[1] == id and last[2][2] == blob and redis.call('HGET', K .. ':h', 'nonce') == nonce
end

-- The mark of an erasure is a number: what was opened before it has a lower one, what is opened after it a higher one.
function J.gone(K, n)
  local mark = redis.call('GET', K .. ':x')
  return mark ~= false and tonumber(n) <= tonumber(mark)
end

-- The next number of this shard: by the time, and never one that was.
function J.number(T)
  local time = redis.call('TIME')
  local units = time[1] * 64000 + math.floor(time[2] * 64 / 1000)
  local number = units * NUMBER_STEP + tonumber(string.match(T, '%d+'))
  local last = tonumber(redis.call('GET', T .. ':last') or '0')
  if number < last + NUMBER_STEP then
    number = last + NUMBER_STEP
  end
  redis.call('SET', T .. ':last', J.int(number))
  return J.int(number)
end

function J.index(T, K)
  local O, request = J.owner(K), J.request(K)
  local n, st, chat, ver, proj = J.get(K, 'n', 'st', 'chat', 'ver', 'proj')
  redis.call('ZADD', O .. ':all', n, request)
  redis.call('ZADD', T .. ':all', n, K)
  if chat ~= '' then
    redis.call('ZADD', O .. ':c:' .. chat, n, request)
    if proj ~= '1' then
      redis.call('ZADD', O .. ':dirty', ver, request)
    end
  end
  if not J.ended(st) then
    redis.call('ZADD', O .. ':open', n, request)
    redis.call('ZADD', T .. ':open', n, K)
  end
end

function J.unindex(T, K)
  local O, request = J.owner(K), J.request(K)
  local chat, packed = J.get(K, 'chat', 'packed')
  for _, list in ipairs({':all', ':open', ':dirty', ':c:' .. (chat or '')}) do
    redis.call('ZREM', O .. list, request)
  end
  for _, list in ipairs({':all', ':open', ':ended', ':sealed', ':unproj', ':size'}) do
    redis.call('ZREM', T .. list, K)
  end
  if packed and packed ~= '0' then
    redis.call('DECRBY', T .. ':bytes', packed)
  end
end

-- Everything of it, except the mark that it was erased.
function J.remove(T, K)
  if redis.call('HGET', K .. ':h', 'lease') == '1' then
    Q.unleased(T, K)
  end
  Q.withdraw(T, K)
  J.unindex(T, K)
  redis.call('HSET', K .. ':h', 'lease', '0')
  Q.sealed(T, K)
  redis.call('DEL', K .. ':h', K .. ':e', K .. ':i', K .. ':a', K .. ':f', K .. ':b')
end

local function set(K, pairs, from)
  if #pairs >= from then
    redis.call('HSET', K .. ':h', unpack(pairs, from))
  end
end

function J.seal(T, K, caller, id, blob, base, end_, pairs)
  if redis.call('HGET', K .. ':h', 'lease') == '1' then
    Q.unleased(T, K)
  end
  Q.withdraw(T, K)
  redis.call('PEXPIRE', K .. ':f', FOLLOWERS_MS)
  redis.call('XADD', K .. ':e', id, 'e', blob)
  local before = redis.call('HGET', K .. ':h', 'at')
  set(K, pairs, 1)
  if tonumber(redis.call('HGET', K .. ':h', 'at')) < tonumber(before) then
    redis.call('HSET', K .. ':h', 'at', before)
  end
  redis.call('HSET', K .. ':h', 'tail', end_, 'lease', '0', 'rel', '0', 'park', '0', 'alone', '0', 'wid', '', 'wexp', '')
  local O, request = J.owner(K), J.request(K)
  local n, chat, at, proj = J.get(K, 'n', 'chat', 'at', 'proj')
  redis.call('ZREM', O .. ':open', request)
  redis.call('ZREM', T .. ':open', K)
  redis.call('ZADD', T .. ':sealed', n, K)
  if chat == '' or proj == '1' then
    redis.call('ZADD', T .. ':ended', at, K)
  else
    redis.call('ZADD', T .. ':unproj', n, K)
  end
  local ver, row = J.changed(T, K, caller, 's', base, end_, blob)
  if chat ~= '' and proj ~= '1' then
    redis.call('ZADD', O .. ':dirty', ver, request)
  end
  Q.sealed(T, K)
  return ver, row
end

-- node K open_max bh nonce blob keep past field value...: the node follows it for so many ms. past: the erasure that it may be
-- opened after, by its mark ('*': any, '': none)
F('open', function(T, a)
  local node, K, open_max, bh, nonce, blob, keep, past = unpack(a, 1, 8)
  local has = J.get(K, 'bh')
  if has then
    return {has == bh and 'THERE' or 'CONFLICT'}
  end
  local mark = past ~= '*' and redis.call('GET', K .. ':x')
  if mark and mark ~= past then
    return {'ERASED', mark}
  end
  local O = J.owner(K)
  if open_max ~= '0' and redis.call('ZCARD', O .. ':open') >= tonumber(open_max) then
    return {'FULL'}
  end
  local number = J.number(T)
  redis.call('XADD', K .. ':e', '0-1', 'e', blob)
  redis.call('HSET', K .. ':h', 'bh', bh, 'n', number, 'tail', '1', 'ver', '0', 'term', '0', 'nonce', nonce,
    'c0', nonce .. ':0', 'lease', '0', 'node', '', 'rel', '0', 'park', '0', 'inb', '0', 'ins', '0', 'proj', '0',
    'deaths', '0', 'sdeaths', '0', 'alone', '0', 'packed', '0', 'wid', '', 'wexp', '', unpack(a, 9))
  redis.call('ZADD', K .. ':f', J.now() + keep, node)
  local ver = J.changed(T, K, node, 's', '0', '1', blob)
  J.index(T, K)
  Q.offer(T, K)
  return {'NEW', number, ver}
end)

local function append(T, a)
  local node, K, term, nonce, base, end_, blob, ends, row = unpack(a, 1, 9)
  local id = term .. '-' .. end_
  local no, tail, its = fence(K, term, nonce)
  if no and no[1] ~= 'SEALED' then
    return no
  end
  if tail == tonumber(end_) and its == nonce and done(K, id, blob, nonce) then
    return {'DUP', redis.call('HGET', K .. ':h', 'ver')}
  end
  if no then
    return no
  end
  if tail ~= tonumber(base) then
    return {tail < tonumber(base) and 'GAP' or 'AHEAD', tail}
  end
  if ends == '1' then
    local pairs = {unpack(a, 11)}
    return {'OK', (J.seal(T, K, node, id, blob, base, end_, pairs))}
  end
  redis.call('XADD', K .. ':e', id, 'e', blob)
  set(K, a, 11)
  redis.call('HSET', K .. ':h', 'tail', end_)
  if row == '1' then
    return {'OK', (J.changed(T, K, node, 's', base, end_, blob))}
  end
  local ver = redis.call('HGET', K .. ':h', 'ver')
  P.events(T, K, node, base, end_, blob, {'ver', ver, 'term', term, 'nonce', nonce})
  return {'OK', ver}
end

-- node K term nonce base end blob ends row again field value...
F('append', append)
-- The same of what ends with the outcome: a full Redis takes that, for what has ended will leave it.
F('finish', append, {'allow-oom'})

-- node K term nonce again
F('release', function(T, a)
  local node, K, term, nonce, again = unpack(a)
  local no = fence(K, term, nonce)
  if no then
    if again == '1' and no[1] == 'FENCED' and no[2] == term and no[3] == nonce then
      return {'OK', redis.call('HGET', K .. ':h', 'ver'), {}}
    end
    return no
  end
  Q.unleased(T, K)
  redis.call('HSET', K .. ':h', 'lease', '0', 'rel', '1', 'alone', '0')
  local ver, row = J.changed(T, K, node)
  Q.offer(T, K)
  return {'OK', ver, row}
end, {'allow-oom'})

-- node K term nonce base end blob inbox_seen wait_id again field value...
F('park', function(T, a)
  local node, K, term, nonce, base, end_, blob, seen, wait, again = unpack(a, 1, 10)
  local id = term .. '-' .. end_
  local no, tail = fence(K, term, nonce)
  if no then
    if again == '1' and no[1] == 'FENCED' and tail == tonumber(end_) and done(K, id, blob, nonce) then
      return {'OK', redis.call('HGET', K .. ':h', 'ver'), P.row(K)}
    end
    return no
  end
  local inbox = redis.call('HLEN', K .. ':i')
  if inbox > tonumber(seen) then
    return {'UNREAD', inbox}
  end
  if redis.call('HEXISTS', K .. ':i', 'decision:' .. wait) == 1 then
    return {'DECIDED'}
  end
  if tail ~= tonumber(base) then
    return {tail < tonumber(base) and 'GAP' or 'AHEAD', tail}
  end
  Q.unleased(T, K)
  redis.call('XADD', K .. ':e', id, 'e', blob)
  set(K, a, 11)
  redis.call('HSET', K .. ':h', 'tail', end_, 'lease', '0', 'park', '1', 'ins', seen, 'alone', '0')
  local ver, row = J.changed(T, K, node, 's', base, end_, blob)
  Q.offer(T, K)
  return {'OK', ver, row}
end)

-- node K blob at st out again: an outcome from outside, at whatever the tail is
F('seal', function(T, a)
  local node, K, blob, at, st, out, again = unpack(a)
  local is, term, tail = J.get(K, 'st', 'term', 'tail')
  if not is then
    return {'GONE'}
  end
  if J.ended(is) then
    local last = again == '1' and redis.call('XREVRANGE', K .. ':e', '+', '-', 'COUNT', 1)[1]
    if last and last[2][2] == blob then
      return {'OK', J.int(tail - 1)}
    end
    return {'SEALED', is}
  end
  local end_ = J.int(tail + 1)
  J.seal(T, K, node, term .. '-' .. end_, blob, tail, end_, {'st', st, 'at', at, 'out', out})
  return {'OK', tail}
end, {'allow-oom'})
