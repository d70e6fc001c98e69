import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  assertSafeEndpoint,
  formatEndpoint,
  isLoopback,
  parseEndpoint,
} from '../../../src/transport/endpoints.js';

describe('the address to listen on', () => {
  it('is read in every form that people write', () => {
    const forms: [string, object][] = [
      ['127.0.0.1:54321', { host: '127.0.0.1', port: 54321 }],
      ['[::1]:54321', { host: '::1', port: 54321 }],
      ['[::1]', { host: '::1', port: 54321 }],
      ['::1', { host: '::1', port: 54321 }],
      ['localhost', { host: 'localhost', port: 54321 }],
      ['host-1.example.org:8443', { host: 'host-1.example.org', port: 8443 }],
      [':54321', { host: '', port: 54321 }],
      ['*:80', { host: '', port: 80 }],
      ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
      [' unix:/run/vdsm-agent.sock ', { path: '/run/vdsm-agent.sock' }],
    ];
    for (const [text, expected] of forms) assert.deepEqual({ ...parseEndpoint(text) }, expected, text);
  });

  it('is refused with the text and the fault where it is none', () => {
    const faults: [string, RegExp][] = [
      ['', /neither host nor port/],
      ['54321', /ambiguous: say 127\.0\.0\.1:54321/],
      ['localhost:65536', /at most 65535/],
      ['localhost:http', /expected HOST:PORT/],
      ['1.2.3.4.5:1', /no valid host name/],
      ['300.1.1.1:1', /no valid host name/],
      ['-a:1', /no valid host name/],
      ['[nonsense]:1', /no IPv6 address/],
      ['[::1:1', /expected HOST:PORT/],
      ['unix:run/x', /must be absolute/],
      [`unix:/${'x'.repeat(107)}`, /at most 107 bytes/],
      ['http://localhost:1', /expected HOST:PORT/],
    ];
    for (const [text, fault] of faults) assert.throws(() => parseEndpoint(text), fault, text);
  });

  it('either parses to something that is written back and read again alike, or throws an Error', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.tuple(fc.domain(), fc.nat(70_000)).map(([host, port]) => `${host}:${port}`),
      fc.tuple(fc.ipV6(), fc.nat(70_000)).map(([host, port]) => `[${host}]:${port}`),
      fc.tuple(fc.ipV4(), fc.nat(70_000)).map(([host, port]) => `${host}:${port}`),
    );
    fc.assert(
      fc.property(texts, (text) => {
        let endpoint;
        try {
          endpoint = parseEndpoint(text);
        } catch (error) {
          assert.ok(error instanceof Error && error.message.startsWith(`"${text}" is no address`));
          return;
        }
        assert.deepEqual(parseEndpoint(formatEndpoint(endpoint)), endpoint);
      }),
    );
  });
});

describe('the rule of safety', () => {
  it('knows loopback addresses', () => {
    for (const host of [
      '127.0.0.1',
      '127.8.9.10',
      '::1',
      '0:0:0:0:0:0:0:1',
      '::ffff:127.0.0.1',
      'LocalHost',
    ]) {
      assert.ok(isLoopback(host), host);
    }
    for (const host of ['', '0.0.0.0', '::', '10.0.0.1', '127.example.org', 'localhost.example.org', '::2']) {
      assert.ok(!isLoopback(host), host);
    }
  });

  it('refuses plain text beyond this host and says how to allow it', () => {
    const everywhere = { host: '', port: 54321 };
    assert.throws(
      () => assertSafeEndpoint(everywhere, { tls: false, insecure: false }),
      /refusing to listen on :54321 without TLS: .*certificate.*loopback.*`insecure: true`/,
    );
    assert.doesNotThrow(() => assertSafeEndpoint(everywhere, { tls: true, insecure: false }));
    assert.doesNotThrow(() => assertSafeEndpoint(everywhere, { tls: false, insecure: true }));
    assert.doesNotThrow(() => assertSafeEndpoint({ host: '::1', port: 1 }, { tls: false, insecure: false }));
    assert.doesNotThrow(() => assertSafeEndpoint({ path: '/x' }, { tls: false, insecure: false }));
  });
});
