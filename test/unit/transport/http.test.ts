import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { originAllowed, page } from '../../../src/transport/http.js';
import { createMetrics } from '../../../src/util/metrics.js';

describe('the pages', () => {
  const sources = { health: () => ({ ok: true, body: { state: 'fine' } }), metrics: createMetrics() };

  it('are a word about the program, health and metrics, and nothing else', async () => {
    assert.match((await page('GET', '/', sources)).body, /vdsm-agent/);
    assert.deepEqual(await page('GET', '/healthz?x=1', sources), {
      status: 200,
      type: 'application/json',
      body: '{"state":"fine"}\n',
    });
    assert.match((await page('GET', '/metrics', sources)).body, /^# HELP vdsm_agent_sessions /m);
    assert.equal((await page('GET', '/metrics/x', sources)).status, 404);
    assert.equal((await page('POST', '/', sources)).status, 405);
  });

  it('say 503 where the agent is not well', async () => {
    const ill = { ...sources, health: () => ({ ok: false, body: { libvirt: 'lost' } }) };
    const { status, body } = await page('GET', '/healthz', ill);
    assert.deepEqual([status, body], [503, '{"libvirt":"lost"}\n']);
  });
});

describe('the origin of a WebSocket', () => {
  const cases: [string | undefined, string, boolean, string][] = [
    [undefined, '10.0.0.1:54321', true, 'a program'],
    ['http://10.0.0.1:54321', '10.0.0.1:54321', true, 'a program that makes one of the address'],
    ['http://[::1]:54321', '[::1]:54321', true, 'the same with IPv6'],
    ['http://localhost:54321', 'localhost:54321', true, 'the same with localhost'],
    ['http://localhost:8080', 'localhost:54321', false, 'a page of another server on this host'],
    ['https://evil.example', '127.0.0.1:54321', false, 'any page'],
    ['http://evil.example:54321', 'evil.example:54321', false, 'a page whose name was pointed to this host'],
    ['null', '127.0.0.1:54321', false, 'a page from a file'],
    ['file://', '', false, 'a file'],
    ['https://engine.example', '127.0.0.1:54321', true, 'a configured page'],
  ];
  for (const [origin, host, expected, who] of cases) {
    it(`is ${expected ? 'accepted' : 'refused'} from ${who}`, () => {
      assert.equal(originAllowed(origin, host, ['https://engine.example']), expected);
    });
  }

  it('may be any where that is configured', () => {
    assert.ok(originAllowed('https://evil.example', 'x', ['*']));
  });
});
