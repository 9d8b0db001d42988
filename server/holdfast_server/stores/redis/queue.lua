-- Who waits for what, and whose turn it is.
--
-- A journal that may be claimed is in one lane: O:q:<priority>:<agent>, by its number. What cannot be claimed yet is in T:timed
-- (by when), in O:a:<request id> (with all that wait for the end of that one), in T:suspect (only for a node that runs nothing
-- else), or in T:poison (it is to be ended). The field q of its hash says where, so that it can be taken out again; a journal
-- is never in two places.
--
-- Whose turn it is: T:q:<class>:<agent> holds the owners with such lanes by their rank: how many of theirs run, then when they
-- were served, or began to wait, whichever is later (T:turn, of those who wait). Class n is high and normal, l is low. So a turn
-- is found with one look per agent, however many wait, and whoever runs as many as one may is behind everybody who does not.
local RANK = 2 ^ 41           -- one more of the owner's that runs
local SINCE = 1577836800000   -- 2020: times below are counted from here, 69 years of milliseconds before they reach RANK
local RUNNING_MAX = 4095      -- more of one owner's are counted as so many: the rank is exact below 2^53
local MOVES_MAX = 100         -- journals that one call moves because of the time
local DEATHS_MAX = 2          -- claims that ended with their node, before it runs alone; and alone, before it is ended
local LEASE_FIRST_MS = 5000   -- until the node's own renewal, where a lease comes back without a claim

local CLASSES = {n = {'1', '0'}, l = {'-1'}}

local function class_of(prio)
  return prio == '-1' and 'l' or 'n'
end

-- Milliseconds that are never the same twice in a shard.
local function tick(T)
  local now = J.now() - SINCE
  local last = tonumber(redis.call('GET', T .. ':tick') or '0')
  if now <= last then
    now = last + 1
  end
  redis.call('SET', T .. ':tick', J.int(now))
  return now
end

local function wake(T)
  redis.call('PUBLISH', 'hf:wake', string.match(T, '%d+'))
end

local function waits(O)
  return redis.call('EXISTS', O .. ':q:1', O .. ':q:0', O .. ':q:-1') > 0
end

local function rank(T, O)
  local running = math.min(redis.call('SCARD', O .. ':run'), RUNNING_MAX)
  return J.int(running * RANK + tonumber(redis.call('ZSCORE', T .. ':turn', O) or '0'))
end

-- The owner's rank has changed.
local function reorder(T, O)
  local now
  for class, prios in pairs(CLASSES) do
    for _, prio in ipairs(prios) do
      for _, agent in ipairs(redis.call('SMEMBERS', O .. ':q:' .. prio)) do
        now = now or rank(T, O)
        redis.call('ZADD', T .. ':q:' .. class .. ':' .. agent, 'XX', now, O)
      end
    end
  end
end

-- The owner has had a turn: if more of theirs waits, then after everybody.
function Q.serve(T, O)
  if waits(O) then
    redis.call('ZADD', T .. ':turn', J.int(tick(T)), O)
  end
end

local function enter(T, K, prio, agent, number, since)
  local O, class = J.owner(K), class_of(prio)
  if not waits(O) then
    redis.call('ZADD', T .. ':turn', J.int(tick(T)), O)
  end
  redis.call('ZADD', O .. ':q:' .. prio .. ':' .. agent, number, K)
  redis.call('SADD', O .. ':q:' .. prio, agent)
  redis.call('ZADD', T .. ':q:' .. class .. ':' .. agent, rank(T, O), O)
  redis.call('SADD', T .. ':q:' .. class, agent)
  if class == 'l' then
    redis.call('ZADD', T .. ':low', since, K)
  end
  redis.call('HSET', K .. ':h', 'q', prio .. '|' .. agent)
end

local function leave(T, K, prio, agent)
  local O, class = J.owner(K), class_of(prio)
  local lane = O .. ':q:' .. prio .. ':' .. agent
  redis.call('ZREM', lane, K)
  redis.call('ZREM', T .. ':low', K)
  if redis.call('EXISTS', lane) == 1 then
    return
  end
  redis.call('SREM', O .. ':q:' .. prio, agent)
  for _, other in ipairs(CLASSES[class]) do
    if redis.call('SISMEMBER', O .. ':q:' .. other, agent) == 1 then
      return
    end
  end
  local owners = T .. ':q:' .. class .. ':' .. agent
  redis.call('ZREM', owners, O)
  if redis.call('EXISTS', owners) == 0 then
    redis.call('SREM', T .. ':q:' .. class, agent)
  end
  if not waits(O) then
    redis.call('ZREM', T .. ':turn', O)
  end
end

-- File a journal that is nowhere where it belongs at this time. Whether it has to do with nodes: now, or in time.
local function file(T, K, now)
  local st, lease, park, wexp, nb, after, at = J.get(K, 'st', 'lease', 'park', 'wexp', 'nb', 'after', 'at')
  if not st or J.ended(st) or lease == '1' then
    return false
  end
  local due = tonumber(park == '1' and wexp or nb or '0')
  if park == '1' and not due then
    return false
  end
  if due and due > now then
    redis.call('ZADD', T .. ':timed', J.int(due), K)
    redis.call('HSET', K .. ':h', 'q', 't')
    return true
  end
  if park ~= '1' and after and after ~= '' then
    local O = J.owner(K)
    local quoted = string.gsub(after, '[^%w_.~-]', function(c) return string.format('%%%02X', string.byte(c)) end)
    local before = J.get(J.key(T, O, quoted), 'st')
    if before and not J.ended(before) then
      redis.call('SADD', O .. ':a:' .. quoted, K)
      redis.call('HSET', K .. ':h', 'q', 'a' .. quoted)
      return false
    end
  end
  local prio, agent, number, deaths, alone = J.get(K, 'prio', 'agent', 'n', 'deaths', 'sdeaths')
  if tonumber(alone or '0') >= DEATHS_MAX then
    redis.call('ZADD', T .. ':poison', number, K)
    redis.call('HSET', K .. ':h', 'q', 'p')
  elseif tonumber(deaths or '0') >= DEATHS_MAX then
    -- Who died alone before comes after those who did not: the others may be innocent.
    redis.call('ZADD', T .. ':suspect', J.int(tonumber(alone or '0') * RANK + tick(T)), K)
    redis.call('HSET', K .. ':h', 'q', 's')
  else
    local since = math.max(tonumber(at or '0') or 0, due or 0)
    enter(T, K, prio or '0', agent or '', number, J.int(since))
  end
  return true
end

function Q.withdraw(T, K)
  local q = redis.call('HGET', K .. ':h', 'q')
  if not q or q == '' then
    return
  end
  redis.call('HSET', K .. ':h', 'q', '')
  local prio, agent = string.match(q, '^(%-?%d)|(.*)$')
  if prio then
    leave(T, K, prio, agent)
  elseif q == 't' then
    redis.call('ZREM', T .. ':timed', K)
  elseif q == 's' then
    redis.call('ZREM', T .. ':suspect', K)
  elseif q == 'p' then
    redis.call('ZREM', T .. ':poison', K)
  else
    redis.call('SREM', J.owner(K) .. ':a:' .. string.sub(q, 2), K)
  end
end

function Q.offer(T, K)
  Q.withdraw(T, K)
  if file(T, K, 0) then
    wake(T)
  end
end

function Q.sealed(T, K)
  local waiting = J.owner(K) .. ':a:' .. J.request(K)
  local any, nexts = false, redis.call('SMEMBERS', waiting)
  redis.call('DEL', waiting)  -- before they are filed: where this one only makes room for itself, they wait on
  for _, next_ in ipairs(nexts) do
    redis.call('HSET', next_ .. ':h', 'q', '')
    any = file(T, next_, 0) or any
  end
  if any then
    wake(T)
  end
end

function Q.leased(T, K, node)
  local O = J.owner(K)
  redis.call('SADD', O .. ':run', K)
  redis.call('SADD', T .. ':nj:' .. node, K)
  redis.call('ZADD', T .. ':n', 'NX', J.int(J.now() + LEASE_FIRST_MS), node)
  reorder(T, O)
end

function Q.unleased(T, K)
  local O, node = J.owner(K), J.get(K, 'node')
  redis.call('SREM', O .. ':run', K)
  redis.call('SREM', T .. ':nj:' .. (node or ''), K)
  if waits(O) or redis.call('EXISTS', T .. ':suspect') == 1 then
    reorder(T, O)
    wake(T)
  end
end

-- What a caller brings along: its time, the limits, and which agents it may not claim (0: it has no token; -1: there is none).
--   now ('': Redis's own) most low_ms agent tokens agent tokens...
function Q.terms(a, from)
  local terms = {now = tonumber(a[from]) or J.now(), most = math.min(tonumber(a[from + 1]), RUNNING_MAX), tokens = {}}
  terms.low = tonumber(a[from + 2])
  for at = from + 3, #a, 2 do
    terms.tokens[a[at]] = tonumber(a[at + 1])
  end
  return terms
end

local function may(terms, agent)
  return (terms.tokens[agent] or 1) > 0
end

-- Time has come to `now`: what it brings is filed anew, and low that has waited long enough becomes normal.
function Q.due(T, terms)
  local now = terms.now
  for _, K in ipairs(redis.call('ZRANGEBYSCORE', T .. ':timed', '-inf', J.int(now), 'LIMIT', 0, MOVES_MAX)) do
    redis.call('ZREM', T .. ':timed', K)
    if redis.call('HGET', K .. ':h', 'q') == 't' then
      redis.call('HSET', K .. ':h', 'q', '')
      file(T, K, now)
    end
  end
  for _, K in ipairs(redis.call('ZRANGEBYSCORE', T .. ':low', '-inf', J.int(now - terms.low), 'LIMIT', 0, MOVES_MAX)) do
    local agent, number = J.get(K, 'agent', 'n')
    if number then
      enter(T, K, '0', agent, number)  -- before it leaves: its owner keeps the place
    end
    leave(T, K, '-1', agent or '')
  end
end

-- The owner of this class whose turn it is, and their rank; `need` collects the agents that wait for a token.
local function next_owner(T, class, terms, need)
  local best, owner
  for _, agent in ipairs(redis.call('SMEMBERS', T .. ':q:' .. class)) do
    local first = redis.call('ZRANGE', T .. ':q:' .. class .. ':' .. agent, 0, 0, 'WITHSCORES')
    local its = tonumber(first[2])
    if its and (terms.most == 0 or math.floor(its / RANK) < terms.most) then
      if not may(terms, agent) then
        need[agent] = true
      elseif not best or its < best then
        best, owner = its, first[1]
      end
    end
  end
  return owner, best
end

-- The suspect whose turn it is.
function Q.suspect(T, terms, need)
  for _, K in ipairs(redis.call('ZRANGE', T .. ':suspect', 0, MOVES_MAX - 1)) do
    local agent = J.get(K, 'agent')
    if terms.most == 0 or redis.call('SCARD', J.owner(K) .. ':run') < terms.most then
      if may(terms, agent) then
        return K
      end
      need[agent] = true
    end
  end
end

-- Whose turn it is: class, owner, rank. Low does not come before what only lacks a token that may be had.
function Q.turn(T, terms, need)
  local owner, its = next_owner(T, 'n', terms, need)
  if owner then
    return 'n', owner, its
  end
  for agent in pairs(need) do
    if terms.tokens[agent] == 0 then
      return nil
    end
  end
  owner, its = next_owner(T, 'l', terms, need)
  return owner and 'l', owner, its
end

-- The owner's next of this class.
function Q.next(T, class, O, terms)
  for _, prio in ipairs(CLASSES[class]) do
    local best, number
    for _, agent in ipairs(redis.call('SMEMBERS', O .. ':q:' .. prio)) do
      if may(terms, agent) then
        local first = redis.call('ZRANGE', O .. ':q:' .. prio .. ':' .. agent, 0, 0, 'WITHSCORES')
        local its = tonumber(first[2])
        if its and (not best or its < number) then
          best, number = first[1], its
        end
      end
    end
    if best then
      return best
    end
  end
end

-- Its hash is not there: it is out of every lane.
function Q.forget(T, K)
  local O = J.owner(K)
  redis.call('ZREM', T .. ':suspect', K)
  for _, prio in ipairs({'1', '0', '-1'}) do
    for _, agent in ipairs(redis.call('SMEMBERS', O .. ':q:' .. prio)) do
      leave(T, K, prio, agent)
    end
  end
end

-- How many of this class and agent wait in the owner's lanes.
function Q.waiting(O, class, agent)
  local count = 0
  for _, prio in ipairs(CLASSES[class]) do
    count = count + redis.call('ZCARD', O .. ':q:' .. prio .. ':' .. agent)
  end
  return count
end

-- How many of the owner's own come before the one with this number, filed at q.
function Q.before(T, K, q, number)
  local O, its, count = J.owner(K), string.match(q, '^(%-?%d)|'), 0
  for _, prio in ipairs(its and CLASSES[class_of(its)] or {}) do
    for _, agent in ipairs(redis.call('SMEMBERS', O .. ':q:' .. prio)) do
      local lane = O .. ':q:' .. prio .. ':' .. agent
      count = count + redis.call('ZCOUNT', lane, '-inf', prio == its and '(' .. number or '+inf')
    end
    if prio == its then
      return count
    end
  end
  return q == 's' and redis.call('ZRANK', T .. ':suspect', K) or count
end
