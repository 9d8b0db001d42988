-- Nodes: what they hold and for how long, what becomes of it when they are gone, and claims.
--
-- T:n is each node's lease in this shard (until when, by Redis's own clock), T:nj:<node> the journals it holds. A node that
-- comes back late and was not replaced goes on; one whose journals were taken finds out when it writes.
local REAP_MAX = 100     -- journals of dead nodes that one call takes
local DANGLING_MAX = 16  -- entries of journals that are not there which one claim clears away
local AWAY_MIN_MS = 1200 -- nodes look each half second: who is not served for longer was not able to be
local RETURN_MS = 1000   -- to come back, beside half a lease: they try again and again by then
local NOTE_MS = 400      -- between two notes that somebody was served
local PLACES_MAX = 1000  -- owners, and journals of one, that are looked at for a place
local GONE_LEASES = 3    -- a node that was silent for so many died; until then it may only have been cut off
local STRUCK_MS = 86400000  -- a node that is away for longer stays dead
local POISON_MAX = 100   -- that are looked at in one call

function N.alive(T, node)
  local until_ = redis.call('ZSCORE', T .. ':n', node)
  return until_ ~= false and tonumber(until_) > J.now()
end

-- Leases in the list T:<list> are only as good as the time in which nodes could renew them. Where nobody was served for long,
-- Redis stood still, was started again, or it is another server with another clock: then everybody gets time to come back, and
-- no lease may end later than one that begins now.
function N.awake(T, list, lease)
  local now, last = J.now(), tonumber(redis.call('GET', T .. ':served:' .. list) or '0')
  lease = tonumber(lease)
  if math.abs(now - last) > math.max(lease / 2, AWAY_MIN_MS) then
    local all = redis.call('ZRANGE', T .. ':' .. list, 0, -1, 'WITHSCORES')
    for at = 1, #all, 2 do
      local till = math.max(math.min(tonumber(all[at + 1]), now + lease), now + lease / 2 + RETURN_MS)
      redis.call('ZADD', T .. ':' .. list, J.int(till), all[at])
    end
  end
  if now - last > NOTE_MS or now < last then
    redis.call('SET', T .. ':served:' .. list, J.int(now))
  end
  return now
end

local function hold(T, node, lease)
  redis.call('ZADD', T .. ':n', J.int(N.awake(T, 'n', lease) + tonumber(lease)), node)
end

-- The lease of this journal ends without its holder, who died, left, or gives it back. Nothing if it is not its any more.
local function take(T, K, node, why)
  local lease, holder, alone, st = J.get(K, 'lease', 'node', 'alone', 'st')
  if lease ~= '1' or holder ~= node or J.ended(st) then
    redis.call('SREM', T .. ':nj:' .. node, K)
    return false
  end
  Q.unleased(T, K)
  redis.call('HSET', K .. ':h', 'lease', '0', 'rel', why == 'back' and '1' or '0', 'alone', '0')
  if why == 'died' then
    redis.call('HINCRBY', K .. ':h', 'deaths', 1)
    if alone == '1' then
      redis.call('HINCRBY', K .. ':h', 'sdeaths', 1)
      redis.call('HSET', K .. ':h', 'struck', J.int(J.now()))
      redis.call('SADD', T .. ':struck:' .. node, K)
      redis.call('PEXPIRE', T .. ':struck:' .. node, STRUCK_MS)
    end
  end
  if why == 'left' then
    local tail = redis.call('HGET', K .. ':h', 'tail')
    P.tell(T, K, node, 's', tail, tail, '', P.row(K))  -- no other version: nothing of it that anybody sees has changed
  else
    J.changed(T, K, '')
  end
  Q.offer(T, K)
  return true
end

-- This node lives: what was held against a request that it ran alone is taken back.
local function returned(T, node)
  local struck = T .. ':struck:' .. node
  for _, K in ipairs(redis.call('SMEMBERS', struck)) do
    local st, alone, q = J.get(K, 'st', 'sdeaths', 'q')
    if st and not J.ended(st) and tonumber(alone or '0') > 0 then
      redis.call('HINCRBY', K .. ':h', 'sdeaths', -1)
      if q == 'p' or q == 's' then
        Q.offer(T, K)
      end
    end
  end
  redis.call('DEL', struck)
end

-- Those that are to be ended: whoever they struck last has been silent since for so long that it is dead.
local function condemned(T, now, lease)
  local out = {}
  for _, K in ipairs(redis.call('ZRANGE', T .. ':poison', 0, POISON_MAX - 1)) do
    local st, struck = J.get(K, 'st', 'struck')
    struck = tonumber(struck or '0')
    if not st then
      redis.call('ZREM', T .. ':poison', K)
    elseif struck > now then
      redis.call('HSET', K .. ':h', 'struck', J.int(now))  -- by the clock of another server
    elseif now - struck >= GONE_LEASES * lease and #out < 10 then
      out[#out + 1] = K
    end
  end
  return out
end

-- What may be claimed here, in short: 0 if there is nothing to say, or {class ('' none, n, l), rank, suspects, due, agents that
-- wait for a token, poison...}. `due`: milliseconds until the first that waits for its time, '' if none does.
local function look(T, terms)
  Q.due(T, terms)
  local need, agents = {}, {}
  local class, _, rank = Q.turn(T, terms, need)
  local suspect = Q.suspect(T, terms, need)
  local first = redis.call('ZRANGE', T .. ':timed', 0, 0, 'WITHSCORES')
  for agent in pairs(need) do
    agents[#agents + 1] = agent
  end
  if not class and not suspect and not first[1] and #agents == 0 then
    return 0
  end
  local due = first[2] and J.int(math.max(0, tonumber(first[2]) - terms.now)) or ''
  return {class or '', rank and J.int(rank) or '', suspect and 1 or 0, due, agents}
end

-- now most low agent tokens...: see Q.terms
F('look', function(T, a)
  return look(T, Q.terms(a, 1))
end, {'allow-oom'})

-- One journal becomes this node's.
local function grant(T, K, node, nonce, alone)
  local st, term, tail, rel, agent = J.get(K, 'st', 'term', 'tail', 'rel', 'agent')
  local how = st == 'waiting' and 'resumed' or st == 'queued' and 'first' or rel == '1' and 'handed_over' or 'recovered'
  term = J.int(tonumber(term) + 1)
  Q.withdraw(T, K)
  redis.call('HSET', K .. ':h', 'term', term, 'nonce', nonce, 'c' .. term, nonce .. ':' .. tail, 'lease', '1', 'node', node,
    'rel', '0', 'park', '0', 'alone', alone and '1' or '0')
  Q.serve(T, J.owner(K))
  Q.leased(T, K, node)
  J.changed(T, K, node)
  return {K, term, nonce, tail, how, alone and 1 or 0, agent}
end

-- node lease alone nonces now most low agent tokens...: as many claims as there are nonces (joined by commas), then a look.
-- alone: only one whose holders died, for a node that runs nothing. Not 'allow-oom', though it would need no room: what is claimed
-- while nothing can be appended holds a slot and spends its total time, and may fail of that; in the queue it only waits.
F('claim', function(T, a)
  local node, lease, alone = a[1], a[2], a[3] == '1'
  local terms, out, dangling = Q.terms(a, 5), {}, 0
  returned(T, node)
  Q.due(T, terms)
  for nonce in string.gmatch(a[4], '[^,]+') do
    local K, need = nil, {}
    while dangling < DANGLING_MAX do
      if alone then
        K = Q.suspect(T, terms, need)
      else
        local class, owner = Q.turn(T, terms, need)
        K = class and Q.next(T, class, owner, terms)
      end
      if not K or redis.call('EXISTS', K .. ':h') == 1 then
        break
      end
      Q.forget(T, K)
      K, dangling = nil, dangling + 1
    end
    if not K then
      break
    end
    local row = grant(T, K, node, nonce, alone)
    if terms.tokens[row[7]] then
      terms.tokens[row[7]] = terms.tokens[row[7]] - 1
    end
    out[#out + 1] = row
  end
  if #out > 0 then
    hold(T, node, lease)
  end
  return {out, look(T, terms)}
end)

-- node lease: hold on; what the node holds here: (K term nonce)...
F('renew', function(T, a)
  local node, out = a[1], {}
  for _, K in ipairs(redis.call('SMEMBERS', T .. ':nj:' .. node)) do
    local term, nonce = J.get(K, 'term', 'nonce')
    out[#out + 1] = K
    out[#out + 1] = term or ''
    out[#out + 1] = nonce or ''
  end
  if #out > 0 then
    hold(T, node, a[2])
  else
    redis.call('ZREM', T .. ':n', node)
  end
  return out
end, {'allow-oom'})

-- node K term nonce: it does not know of this claim; no strike
F('back', function(T, a)
  local node, K, term, nonce = unpack(a)
  local has, its = J.get(K, 'term', 'nonce')
  if has and (has ~= term or its ~= nonce) then
    return 0
  end
  return take(T, K, node, 'back') and 1 or 0
end, {'allow-oom'})

-- node: it closes, and holds nothing any more; no strike. What it held, as much as one call takes: again until it is none.
F('leave', function(T, a)
  local held = redis.call('SRANDMEMBER', T .. ':nj:' .. a[1], REAP_MAX)
  for _, K in ipairs(held) do
    take(T, K, a[1], 'left')
  end
  if redis.call('EXISTS', T .. ':nj:' .. a[1]) == 0 then
    redis.call('ZREM', T .. ':n', a[1])
  end
  return held
end, {'allow-oom'})

-- node lease held now most low agent tokens...: take what the dead held, and look. 0 if there is nothing to say, else {look,
-- whether the node holds another number here than it thinks, poison, what was taken}.
F('tend', function(T, a)
  local node, now, left, taken = a[1], J.now(), REAP_MAX, {}
  returned(T, node)
  if redis.call('EXISTS', T .. ':n') == 1 then
    N.awake(T, 'n', a[2])
  end
  local mine = redis.call('SCARD', T .. ':nj:' .. node)
  for _, dead in ipairs(redis.call('ZRANGEBYSCORE', T .. ':n', '-inf', J.int(now), 'LIMIT', 0, 10)) do
    if dead == node and mine > 0 then
      hold(T, node, a[2])
    elseif left > 0 then
      local held = redis.call('SRANDMEMBER', T .. ':nj:' .. dead, left)
      for _, K in ipairs(held) do
        if take(T, K, dead, 'died') then
          taken[#taken + 1] = K
        end
      end
      left = left - #held
      if redis.call('EXISTS', T .. ':nj:' .. dead) == 0 then
        redis.call('ZREM', T .. ':n', dead)
      end
    end
  end
  local seen = look(T, Q.terms(a, 4))
  local poison = condemned(T, now, tonumber(a[2]))
  local other = mine ~= tonumber(a[3])
  if seen == 0 and #poison == 0 and #taken == 0 and not other then
    return 0
  end
  return {seen, other and 1 or 0, poison, taken}
end, {'allow-oom'})

-- shut now most low K...: what is before these in their lanes. shut: agents whose limit is reached, joined by newlines. Answers the owners
-- who wait here ({rank, n, n of open agents, l, l of open agents} by O), and {q, O, agent, before, at, running} of each K ('' if
-- it does not wait).
F('spots', function(T, a)
  local shut, owners, count = {}, {}, 0
  Q.due(T, Q.terms({a[2], a[3], a[4]}, 1))
  for agent in string.gmatch(a[1], '[^\n]+') do
    shut[agent] = true
  end
  for class, column in pairs({n = 2, l = 4}) do
    for _, agent in ipairs(redis.call('SMEMBERS', T .. ':q:' .. class)) do
      local first = redis.call('ZRANGE', T .. ':q:' .. class .. ':' .. agent, 0, PLACES_MAX - 1, 'WITHSCORES')
      for at = 1, #first, 2 do
        local O = first[at]
        if not owners[O] and count < PLACES_MAX then
          owners[O] = {first[at + 1], 0, 0, 0, 0}
          count = count + 1
        end
        local row = owners[O]
        if row then
          local waiting = Q.waiting(O, class, agent)
          row[column] = row[column] + waiting
          row[column + 1] = row[column + 1] + (shut[agent] and 0 or waiting)
        end
      end
    end
  end
  local rows, out = {}, {}
  for O, row in pairs(owners) do
    rows[#rows + 1] = O
    rows[#rows + 1] = row
  end
  for at = 5, #a do
    local K = a[at]
    local q, agent, number, nb = J.get(K, 'q', 'agent', 'n', 'nb')
    if q and q ~= '' and not (q == 't' and redis.call('HGET', K .. ':h', 'park') == '1') then
      local O = J.owner(K)
      out[#out + 1] = {q, O, agent, Q.before(T, K, q, number), nb or '0', redis.call('SCARD', O .. ':run')}
    else
      out[#out + 1] = ''
    end
  end
  return {rows, out}
end, {'allow-oom'})
