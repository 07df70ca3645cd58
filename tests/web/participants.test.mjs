import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';
import { createParticipantsMenu, fetchParticipants } from '../../server/web/client/participants.js';
import { settle } from './scripted-socket.mjs';

const TWO = { count: 2, users: [{ userId: 'u1', username: 'migxtes4' }, { userId: 'u2', username: 'migxtes5' }] };

/** An HTTP endpoint that says what the test scripted, and keeps the requests it got. */
async function endpoint(t, status, body) {
  const requests = [];
  const server = http.createServer((request, response) => {
    requests.push(request);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return { base: `http://127.0.0.1:${server.address().port}`, requests };
}

test('000-9: reads the endpoint, past every cache', async (t) => {
  const { base, requests } = await endpoint(t, 200, TWO);
  assert.deepEqual(await fetchParticipants(`${base}/`, 15), TWO);
  assert.equal(requests[0].url, '/api/chatroom/15/participants');
  assert.equal(requests[0].headers['cache-control'], 'no-cache');
});

test('T0.8: every character of an id reaches the path as it is', async (t) => {
  const { base, requests } = await endpoint(t, 200, TWO);
  const id = 'a/b?c#d %{}*:\u{1F600}\u05D0';
  await fetchParticipants(base, id, { limit: 10, cursor: 'x y', headers: { authorization: 'Bearer t' } });
  const [path, query] = requests[0].url.split('?');
  assert.equal(decodeURIComponent(path.split('/')[3]), id);
  assert.equal(path.split('/').length, 5);
  assert.equal(query, 'limit=10&cursor=x+y');
  assert.equal(requests[0].headers.authorization, 'Bearer t');
});

test('T0.7: a failure is an error with its code, never an empty room', async (t) => {
  const error = { code: 'unavailable', message: 'the store is out of reach', retryable: true };
  const away = await endpoint(t, 503, { success: false, error });
  await assert.rejects(fetchParticipants(away.base, 'r'), { name: 'PresenceError', ...error });
  for (const [status, body] of [[200, '<html>'], [200, { users: [] }], [200, { count: 0 }], [502, '{}'], [200, 'null']]) {
    const odd = await endpoint(t, status, body);
    await assert.rejects(fetchParticipants(odd.base, 'r'), { code: 'unavailable', retryable: true });
  }
  await assert.rejects(fetchParticipants('http://127.0.0.1:1', 'r'), { code: 'unavailable' });
  await assert.rejects(fetchParticipants(away.base, 'r', { signal: AbortSignal.abort() }), { name: 'AbortError' });
});

test('000-9: the menu reads anew on every open and keeps nothing while closed', async () => {
  let reads = 0;
  const menu = createParticipantsMenu(async () => {
    reads += 1;
    return { count: reads, users: [{ userId: reads, username: 'x' }] };
  });
  const shown = [];
  menu.subscribe(() => shown.push(menu.view()));
  await menu.open();
  assert.deepEqual([shown[0].loading, shown[0].count], [true, null], 'unknown is not 0');
  assert.deepEqual(menu.view(), { isOpen: true, count: 1, users: [{ userId: 1, username: 'x' }], loading: false, error: null });
  menu.close();
  assert.deepEqual([menu.view().isOpen, menu.view().users], [false, []]);
  await menu.open();
  assert.deepEqual([menu.view().count, reads], [2, 2]);
});

test('the menu drops the answer of an earlier open, and aborts its reading', async () => {
  const readings = [];
  const menu = createParticipantsMenu((signal) => new Promise((resolve) => readings.push({ signal, resolve })));
  menu.open();
  menu.open();
  readings[1].resolve({ count: 2, users: [] });
  readings[0].resolve({ count: 1, users: [] });
  await settle();
  assert.deepEqual([menu.view().count, readings[0].signal.aborted, readings[1].signal.aborted], [2, true, false]);
  menu.open();
  menu.close();
  readings[2].resolve({ count: 3, users: [] });
  await settle();
  assert.deepEqual([menu.view().isOpen, menu.view().count, readings[2].signal.aborted], [false, null, true]);
});

test('the menu shows a failure as one', async () => {
  const menu = createParticipantsMenu(async () => { throw Object.assign(new Error('away'), { code: 'unavailable' }); });
  await menu.open();
  assert.deepEqual([menu.view().error.code, menu.view().count, menu.view().loading], ['unavailable', null, false]);
});
