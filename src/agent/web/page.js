// What the page shows: a state by server-sent events once a second, and the last hour every ten seconds.
// Rows are kept by their keys, and only what has changed is written.
'use strict';

const STATES = ['normal', 'recovering', 'probing', 'due', 'shielded'];
// A state is told by a word and by a shape; colour only repeats it.
const SHAPES = ['●', '◔', '◌', '◇', '■'];
const OTHER_SHAPES = { alive: '●', hung: '◇', dead: '■' };
const SVG = 'http://www.w3.org/2000/svg';
const NONE = '–';
const $ = (id) => document.getElementById(id);

// Of thousands of endpoints the browser lays out those that are to be seen (page.css).
const ENDPOINTS = $('endpoints-table');
const heads = [...ENDPOINTS.tHead.rows[0].cells];
ENDPOINTS.widths = heads.map(() => 0);
heads.forEach((head, at) => widen(ENDPOINTS, at, head.textContent.length));
// As wide as the picture of an hour.
const PICTURE = 17;

let hour = { points: [], servers: {}, minutes: {} };
let events = null;
let last = null;

function element(name, parent, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  if (parent) parent.append(made);
  return made;
}

function drawn(name, parent, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const count = (value) => (value === null || value === undefined ? NONE : whole.format(value));
const rate = (value) => (value === null || value === undefined ? NONE : value < 100 ? tenth.format(value) : whole.format(value));
const part = (value) => (value ? rate(value) : NONE);
const hex = (value) => (value === null ? NONE : '0x' + value.toString(16).padStart(7, '0'));
const clock = (unix) => new Date(unix * 1000).toLocaleTimeString('en-GB');
const service = (name) => name || NONE;

// A table: each row is a list of cells, which are a text, a class, and for pictures a key and what draws them.
function fill(id, rows, empty) {
  const table = $(id), body = table.tBodies[0];
  const known = table.known || (table.known = new Map());
  if (rows.length === 0) {
    known.clear();
    if (!body.rows[0] || !body.rows[0].isEmpty) {
      body.replaceChildren();
      const row = body.insertRow();
      row.isEmpty = true;
      const cell = element('td', row, empty, 'none');
      cell.colSpan = table.tHead.rows[0].cells.length;
    }
    return;
  }
  if (body.rows[0] && body.rows[0].isEmpty) body.replaceChildren();
  const wanted = new Set();
  let before = body.firstElementChild;
  for (const { key, cells } of rows) {
    wanted.add(key);
    let row = known.get(key);
    if (!row) {
      row = emptyRow(table, cells.length);
      known.set(key, row);
    }
    if (row === before) before = row.nextElementSibling;
    else body.insertBefore(row, before);
    cells.forEach((cell, at) => {
      if (show(row, at, cell) && table.widths) widen(table, at, cell[2] ? PICTURE : cell[0].length);
    });
  }
  for (const [key, row] of known) {
    if (!wanted.has(key)) {
      row.remove();
      known.delete(key);
    }
  }
}

// A row of which nothing is known yet: a copy of one is made in a fraction of the time.
function emptyRow(table, width) {
  if (!table.empty) {
    table.empty = document.createElement('tr');
    for (let at = 0; at < width; at++) element('td', table.empty, NONE, 'n none');
  }
  const row = table.empty.cloneNode(true);
  row.shown = Array(width).fill([NONE, 'n none']);
  return row;
}

// Rows that are laid out apart from each other are told how wide their columns are: so many characters, and never less again.
function widen(table, at, characters) {
  if (characters <= table.widths[at]) return;
  table.widths[at] = characters;
  table.style.setProperty('--columns', table.widths.map((width) => `calc(${width}ch + .7rem)`).join(' '));
}

// Whether there was something to be changed.
function show(row, at, [text, className = '', draw]) {
  const shown = row.shown[at];
  if (shown[0] === text && shown[1] === className) return false;
  const cell = row.cells[at];
  if (cell.className !== className) cell.className = className;
  if (draw) cell.replaceChildren(...[draw()].filter(Boolean));
  else cell.textContent = text;
  row.shown[at] = [text, className];
  return true;
}

const number = (text) => [text, text === NONE ? 'n none' : 'n'];
const words = (text) => [text, text === NONE ? 'none' : ''];
const stateCell = (state, more) => [`${SHAPES[state]} ${STATES[state]}${more ? ' ' + more : ''}`, STATES[state]];

// The worst state of each of 60 minutes: how tall a bar is says the same as its colour.
function minutes(digits) {
  const worst = digits.split('').reduce((a, b) => (a > b ? a : b), '0');
  const bad = digits.split('').filter((digit) => digit > '1').length;
  const told = worst > '1' ? `worst ${STATES[worst - 1]}, ${bad} of 60 minutes not normal` : 'normal';
  const svg = drawn('svg', null, { width: 120, height: 12, role: 'img', 'aria-label': `last hour: ${told}` });
  digits.split('').forEach((digit, at) => {
    if (digit === '0') return;
    const height = digit === '1' ? 2 : 3 + 2 * (digit - 1);
    drawn('rect', svg, { x: at * 2, y: 12 - height, width: 2, height, class: 'm' + digit });
  });
  return svg;
}

function path(values, width, height, most) {
  const step = width / Math.max(values.length - 1, 1);
  const y = (value) => (height - 1 - (Math.min(value, most) / most) * (height - 2)).toFixed(1);
  // What is not known is a gap.
  const known = (at) => at >= 0 && values[at] !== null;
  return values.map((value, at) => (known(at) ? `${known(at - 1) ? 'L' : 'M'}${(at * step).toFixed(1)} ${y(value)}` : '')).join('');
}

function spark(lines, told, width = 120, height = 18) {
  if (!lines[0] || lines[0].length < 2) return null;
  const most = Math.max(...lines.flat(), 1e-9);
  const svg = drawn('svg', null, { width, height, role: 'img', 'aria-label': told });
  lines.forEach((values, at) => drawn('path', svg, { d: path(values, width, height, most), class: at ? 'limit' : 'line' }));
  return svg;
}

function showFigures(state) {
  const point = state.point || {};
  const list = $('figures');
  const alive = state.servers.filter((process) => process.state === 'alive').length;
  const notNormal = state.states.slice(1).reduce((sum, n) => sum + n, 0);
  const { active, in_force: inForce, refreshed_age_ms: age } = state.strategies || {};
  const refreshed = age === null ? 'never refreshed' : `${(age / 1000).toFixed(1)} s old`;
  const figures = [
    ['calls/s', rate(point.calls_per_s), 'calls_per_s'],
    ['failures/s', rate(point.failures_per_s), 'failures_per_s'],
    ['admitted/s', rate(point.admitted_per_s), 'admitted_per_s'],
    ['refused/s', rate(point.refused_per_s), 'refused_per_s'],
    ['shielded', count(point.shielded), 'shielded'],
    ['endpoints', count(state.states.reduce((sum, n) => sum + n, 0))],
    ['not normal', count(notNormal)],
    ['processes', `${alive} of ${state.servers.length} alive`],
    ['strategies', state.strategies ? `${inForce ? count(active) : 'not in force'}, ${refreshed}` : 'unknown'],
    ['etcd', state.etcd === null ? 'not used' : state.etcd.followed ? 'followed' : 'away'],
  ];
  if (list.children.length !== figures.length) {
    list.replaceChildren();
    for (const [name, , series] of figures) {
      const group = element('div', list);
      element('dt', group, name);
      element('dd', group);
      if (series) element('dd', group).dataset.series = series;
    }
  }
  figures.forEach(([, text], at) => {
    const value = list.children[at].children[1];
    if (value.textContent !== text) value.textContent = text;
  });
}

function showHour() {
  for (const place of document.querySelectorAll('[data-series]')) {
    const values = hour.points.map((each) => each[place.dataset.series]);
    const name = place.parentNode.firstChild.textContent;
    place.replaceChildren(...[spark([values], `${name} in the last hour, at most ${rate(Math.max(...values, 0))}`)].filter(Boolean));
  }
}

function showAlarms(state) {
  const alarms = state.health.map((sick) => `${sick.segment}: ${sick.text}`);
  if (state.orders && state.orders.killed) alarms.unshift('The kill switch is on: every mechanism is off.');
  if (state.etcd && !state.etcd.followed) alarms.push(`etcd is away: ${state.etcd.why}`);
  alarm(alarms);
}

function alarm(alarms) {
  const text = alarms.join('\n');
  if ($('alarms').told === text) return;
  $('alarms').told = text;
  $('alarms').replaceChildren(...alarms.map((alarm) => element('p', null, `▲ ${alarm}`)));
}

function showServices(state) {
  fill('services-table', state.services.map((each) => {
    const called = each.states.reduce((sum, n) => sum + n, 0);
    const bad = called - each.states[0];
    return {
      key: each.id,
      cells: [
        words(service(each.name)), words(each.source || 'calls'), number(count(each.servers)), number(count(called)),
        bad ? [`■ ${count(bad)}`, 'n shielded'] : number(NONE),
        number(part(each.calls_per_s)), number(part(each.failures_per_s)), number(rate(each.mean_ms)),
      ],
    };
  }), 'No service is known by name, and nothing has been called.');
}

function showServers(state) {
  fill('servers-table', state.servers.map((process) => {
    const queue = process.queue;
    const points = hour.servers[process.seat] || [];
    const demand = points.map((point) => point.demand), capacity = points.map((point) => point.capacity);
    const told = `demand, at most ${rate(Math.max(...demand, 0))} per second, and capacity as a broken line`;
    const admission = !queue ? words(NONE)
      : queue.shedding ? [`■ ${queue.mode}, sheds`, 'sheds']
        : [`${queue.mode === 'enforce' ? '●' : queue.mode === 'observe' ? '◇' : '○'} ${queue.mode}`, queue.mode];
    const reasons = queue ? queue.refused.filter((each) => each[2] > 0).map((each) => `${each[0]} ${rate(each[2])}/s`) : [];
    const sums = queue ? queue.refused.map((each) => `${each[0]} ${count(each[1])}`) : [];
    return {
      key: process.seat,
      cells: [
        words(process.name || NONE), number(String(process.pid)),
        [`${OTHER_SHAPES[process.state]} ${process.state}`, process.state === 'alive' ? 'normal' : process.state],
        number(process.cpu_percent === null ? NONE : rate(process.cpu_percent)), admission,
        number(queue ? rate(queue.demand) : NONE), number(queue ? rate(queue.capacity) : NONE),
        [demand.join() + capacity.join(), '', () => spark([demand, capacity], told)],
        number(queue ? hex(queue.cursor) : NONE), number(queue ? count(queue.queued) : NONE),
        number(queue ? count(queue.running) : NONE), number(queue ? rate(queue.admitted_per_s) : NONE),
        number(queue ? rate(queue.refused_per_s) : NONE),
        words((reasons.length ? reasons : sums.map((sum) => `${sum} so far`)).join(', ') || NONE),
      ],
    };
  }), 'No process has a seat.');
}

function showEndpoints(state) {
  const shown = state.endpoints.length;
  const told = state.matching > shown ? `${count(shown)} of ${count(state.matching)}, the worst first` : `${count(shown)}, the worst first`;
  if ($('matching').textContent !== told) $('matching').textContent = told;
  fill('endpoints-table', state.endpoints.map((each) => {
    const more = each.left_ms !== null ? `${(each.left_ms / 1000).toFixed(1)} s` : each.recovering_percent !== null ? `${each.recovering_percent} %` : '';
    const digits = hour.minutes[each.key] || '';
    return {
      key: each.key,
      cells: [
        [each.address, 'a'], words(service(each.service)), stateCell(each.state, more),
        [digits, '', () => (digits ? minutes(digits) : null)], words(each.reason || NONE),
        number(part(each.calls_per_s)), number(part(each.failures_per_s)), number(rate(each.mean_ms)),
        number(count(each.calls)), number(each.failures ? count(each.failures) : NONE),
        number(each.overloaded ? count(each.overloaded) : NONE), number(each.bucket ? `${each.bucket}/35` : NONE),
        number(each.pass_percent < 100 ? tenth.format(each.pass_percent) : NONE), number(hex(each.cursor)),
        number(each.shields ? count(each.shields) : NONE), number(each.probes ? count(each.probes) : NONE),
      ],
    };
  }), 'No endpoint was called.');
}

function showChanges(state) {
  fill('changes-table', state.changes.map((each, at) => ({
    key: at,
    cells: [[clock(each.at), 'a'], [each.address, 'a'], words(service(each.service)), stateCell(each.from), stateCell(each.to), words(each.reason || NONE)],
  })), 'No endpoint has got into another state.');
}

function showGraph(state) {
  const edges = state.graph.edges;
  const told = JSON.stringify(edges);
  if ($('picture').told === told) return;
  $('picture').told = told;
  const caller = (edge) => edge.caller || 'programs that do not say';
  fill('calls-table', edges.map((edge) => ({
    key: `${edge.caller} ${edge.service_id}`,
    cells: [
      words(caller(edge)), words(service(edge.service)), number(part(edge.calls_per_s)), number(part(edge.failures_per_s)),
      number(rate(edge.mean_ms)), number(rate(edge.p50_ms)), number(rate(edge.p99_ms)),
      number(count(edge.calls)), number(edge.failures ? count(edge.failures) : NONE),
    ],
  })), 'Nobody has called anybody.');
  if (edges.length === 0) {
    $('picture').replaceChildren();
    return;
  }
  const callers = [...new Set(edges.map(caller))], callees = [...new Set(edges.map((edge) => edge.service_id))];
  const names = new Map(edges.map((edge) => [edge.service_id, edge.service || 'no service']));
  const step = 30, left = 210, right = 620, width = 900;
  const height = Math.max(callers.length, callees.length) * step + 10;
  const y = (list, item) => (height / (list.length + 1)) * (list.indexOf(item) + 1);
  const most = Math.max(...edges.map((edge) => edge.calls_per_s), 1);
  const sum = edges.map((edge) => `${caller(edge)} calls ${names.get(edge.service_id)}: ${rate(edge.calls_per_s)} per second, ${rate(edge.failures_per_s)} fail`);
  const svg = drawn('svg', null, { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': sum.join('; ') });
  for (const edge of edges) {
    const from = y(callers, caller(edge)), to = y(callees, edge.service_id), middle = (left + right) / 2;
    const fails = edge.failures_per_s > 0;
    drawn('path', svg, {
      d: `M${left} ${from}C${middle} ${from} ${middle} ${to} ${right} ${to}`, class: fails ? 'edge fails' : 'edge',
      'stroke-width': (1 + 6 * Math.sqrt(edge.calls_per_s / most)).toFixed(1),
    });
  }
  for (const name of callers) drawn('text', svg, { x: left - 8, y: y(callers, name) + 4, 'text-anchor': 'end' }, name);
  for (const id of callees) {
    const to = edges.filter((edge) => edge.service_id === id);
    const all = (of) => to.reduce((total, edge) => total + edge[of], 0);
    const text = drawn('text', svg, { x: right + 8, y: y(callees, id) + 4 }, names.get(id));
    const fails = all('failures_per_s');
    drawn('tspan', text, { class: 'soft', dx: 8 }, `${rate(all('calls_per_s'))}/s${fails ? `, ${rate(fails)} fail` : ''}`);
  }
  $('picture').replaceChildren(svg);
}

// A lane for each process; what was recorded within the last minute, and below it every record as a line.
function showRecords(state) {
  const dyes = state.orders ? state.orders.dyes.filter((dye) => dye.in_force) : [];
  const told = dyes.length ? `Dyed: ${dyes.map((dye) => dye.uin).join(', ')}.` : 'No user is dyed: mcrpc dye UIN records what is done for one.';
  if ($('dyes').textContent !== told) $('dyes').textContent = told;
  const records = (state.records || []).slice(-100);
  const place = $('timeline');
  if (records.length === 0) {
    if (place.told !== '') place.replaceChildren();
    place.told = '';
    return;
  }
  const names = new Map(state.servers.map((process) => [process.seat, `${process.name} ${process.pid}`]));
  const lane = (record) => names.get(record.seat) || `seat ${record.seat}`;
  const lanes = [...new Set(records.map(lane))].sort();
  const first = records[0].time_ns, span = Math.max(records[records.length - 1].time_ns - first, 1e6);
  const marks = records.map((record) => `${record.seat}.${record.position}`).join();
  if (place.told === marks) return;
  place.told = marks;
  const left = 210, width = 900, step = 20, height = lanes.length * step + 20;
  const svg = drawn('svg', null, { width, height, role: 'img', 'aria-label': `${records.length} records of ${lanes.length} processes within ${(span / 1e6).toFixed(1)} ms` });
  lanes.forEach((name, at) => {
    drawn('text', svg, { x: left - 8, y: at * step + 16, 'text-anchor': 'end' }, name);
    drawn('line', svg, { x1: left, x2: width, y1: at * step + 12, y2: at * step + 12, class: 'lane' });
  });
  for (const record of records) {
    const x = left + ((record.time_ns - first) / span) * (width - left - 4);
    drawn('rect', svg, { x: x.toFixed(1), y: lanes.indexOf(lane(record)) * step + 6, width: 3, height: 12, class: 'mark' });
  }
  drawn('text', svg, { x: left, y: height - 2, class: 'soft' }, '0 ms');
  drawn('text', svg, { x: width - 4, y: height - 2, class: 'soft', 'text-anchor': 'end' }, `${(span / 1e6).toFixed(1)} ms`);
  const list = document.createElement('ol');
  for (const record of records) {
    const line = element('li', list);
    element('span', line, `${((record.time_ns - first) / 1e6).toFixed(3)} ms`);
    line.append(`${lane(record)}  ${record.kind}  ${record.text || record.hex || ''}`);
  }
  place.replaceChildren(svg, list);
}

function showAll() {
  showFigures(last);
  showAlarms(last);
  showServices(last);
  showServers(last);
  showEndpoints(last);
  showChanges(last);
  showGraph(last);
  showRecords(last);
}

async function askHour() {
  try {
    const answer = await fetch('/api/hour');
    if (answer.ok) {
      hour = await answer.json();
      showHour();
    }
  } catch (error) {
    // The events say that the agent is away.
  }
}

function follow() {
  if (events) events.close();
  events = new EventSource('/api/events?find=' + encodeURIComponent($('find').value.trim()));
  events.onmessage = (event) => {
    last = JSON.parse(event.data);
    if ($('live').className) $('live').className = '';
    $('live').textContent = `live, ${clock(last.at)}`;
    if (!document.hidden) showAll();
  };
  events.onerror = () => {
    $('live').className = 'lost';
    $('live').textContent = '■ lost' + (last ? `, this is of ${clock(last.at)}` : '');
    alarm(['The agent does not answer.']);
    // A connection that broke is made again by itself, but not one that was refused.
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
  };
}

let typed = 0;
$('find').addEventListener('input', () => {
  clearTimeout(typed);
  typed = setTimeout(follow, 200);
});
document.addEventListener('visibilitychange', () => last && !document.hidden && showAll());
follow();
askHour().then(() => last && showAll());
setInterval(askHour, 10000);
