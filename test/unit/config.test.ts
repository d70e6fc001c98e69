import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { ConfigError, loadConfig, loadConfigSchema, type Environment } from '../../src/config.js';

const folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-config-'));
after(() => rmSync(folder, { recursive: true }));

function file(content: unknown): string {
  const path = join(folder, 'agent.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

/** The lines that a wrong configuration is refused with. */
function faults(argv: readonly string[], env: Environment = {}): string[] {
  try {
    loadConfig(argv, env);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message.split('\n');
  }
  return assert.fail('the configuration was taken');
}

describe('loadConfig', () => {
  it('gives every default of the schema where nothing is said', () => {
    const properties = Object.entries(loadConfigSchema().properties);
    assert.deepEqual(
      { ...loadConfig([], {}) },
      Object.fromEntries(properties.map(([key, property]) => [key, property.default])),
    );
  });

  it('takes flags over environment over file over defaults', () => {
    const path = file({ periodSec: 1, simulate: 1, maxBatch: 1, logLevel: 'debug' });
    const env = { VDSM_AGENT_CONFIG: path, VDSM_AGENT_PERIOD: '2', VDSM_AGENT_SIMULATE: '2' };
    const { periodSec, simulate, maxBatch, maxSessions } = loadConfig(['--period', '3'], env);
    assert.deepEqual(
      { periodSec, simulate, maxBatch, maxSessions },
      {
        periodSec: 3,
        simulate: 2,
        maxBatch: 1,
        maxSessions: 64,
      },
    );
  });

  it('takes the file of --config, not that of the environment', () => {
    const config = loadConfig(['--config', file({ maxBatch: 7 })], { VDSM_AGENT_CONFIG: '/nonexistent' });
    assert.equal(config.maxBatch, 7);
  });

  it('keeps the defaults of the periods that a file leaves out, and knows those that there are not', () => {
    const periods = (guestAgentPollSec: unknown): string[] => ['--config', file({ guestAgentPollSec })];
    const { guestAgentPollSec } = loadConfig(periods({ users: 0 }), {});
    assert.deepEqual(guestAgentPollSec, { ...loadConfig([], {}).guestAgentPollSec, users: 0 });
    assert.equal(guestAgentPollSec.cpus, 60);
    assert.match(faults(periods({ nope: 1 })).join(), /unknown key "nope"/);
    assert.match(faults(periods({ users: -1 })).join(), /guestAgentPollSec\.users must be >= 0/);
  });

  it('takes addresses from the environment, parted by commas or spaces, and from repeated flags', () => {
    const env = { VDSM_AGENT_LISTEN: 'unix:/run/a.sock, localhost:1' };
    assert.deepEqual(loadConfig([], env).listen, ['unix:/run/a.sock', 'localhost:1']);
    const argv = ['--listen', 'localhost:2', '--listen', '[::1]:3'];
    assert.deepEqual(loadConfig(argv, env).listen, ['localhost:2', '[::1]:3']);
  });

  it('takes an empty variable for none', () => {
    assert.equal(loadConfig([], { VDSM_AGENT_PERIOD: '' }).periodSec, 15);
  });

  it('reports the faults of all sources at once, each with its origin', () => {
    const path = file({ maxBatch: 0, maxbatch: 5, tlsKeyFile: '/key.pem', uri: 'xen:///' });
    const found = faults(['--config', path, '--period', '0', '--log-level', 'loud'], {
      VDSM_AGENT_SIMULATE: 'many',
      VDSM_AGENT_LISTEN: '54321 unix:relative',
    });
    const expected = [
      `${path}: maxBatch must be >= 1`,
      `${path}: unknown key "maxbatch"`,
      'VDSM_AGENT_SIMULATE: simulate must be integer',
      '--period: periodSec must be >= 0.5',
      '--log-level: logLevel must be equal to one of the allowed values: fatal, error',
      `${path}: 'xen:///'`,
      'VDSM_AGENT_LISTEN: "54321" is no address to listen on: a port alone is ambiguous',
      'VDSM_AGENT_LISTEN: "unix:relative" is no address to listen on',
      `${path}: tlsCertFile and tlsKeyFile go together`,
    ];
    assert.equal(found.length, expected.length, found.join('\n'));
    for (const start of expected)
      assert.ok(
        found.some((line) => line.startsWith(start)),
        start,
      );
  });

  it('refuses an address beyond this host without TLS, unless it is told to be insecure', () => {
    const argv = ['--listen', '0.0.0.0:54321'];
    assert.match(faults(argv).join(), /^--listen: refusing to listen on 0\.0\.0\.0:54321 without TLS/);
    assert.equal(loadConfig([...argv, '--insecure'], {}).insecure, true);
    const tls = { VDSM_AGENT_TLS_CERT: '/cert.pem', VDSM_AGENT_TLS_KEY: '/key.pem' };
    assert.equal(loadConfig(argv, tls).tlsCertFile, '/cert.pem');
  });

  it('refuses authorities for clients without TLS, since nobody would be checked', () => {
    assert.match(faults([], { VDSM_AGENT_TLS_CA: '/ca.pem' }).join(), /^VDSM_AGENT_TLS_CA: tlsCaFile/);
  });

  it('refuses a simulated host and a URI together, and names where both came from', () => {
    const found = faults(['--simulate', '3'], { VDSM_AGENT_URI: 'qemu:///system' });
    assert.deepEqual(found, [
      '--simulate and VDSM_AGENT_URI: simulate and uri exclude each other, leave one out',
    ]);
  });

  it('refuses a file that is none, no JSON or no object', () => {
    assert.match(faults(['--config', '/nonexistent']).join(), /^\/nonexistent: ENOENT/);
    for (const [content, fault] of [
      ['{"a":', /^\S+agent\.json: .*JSON/],
      [[], /not a JSON object$/],
      ['{"__proto__": 1}', /unknown key "__proto__"/],
    ] as const) {
      assert.match(faults(['--config', file(content)]).join(), fault);
    }
  });

  it('refuses unknown flags and arguments, and points to --help', () => {
    assert.deepEqual(faults(['--nope']), ["unknown option '--nope'; see vdsm-agent --help"]);
    assert.match(faults(['start']).join(), /too many arguments.*see vdsm-agent --help/);
  });

  it('gives a frozen result', () => {
    const config = loadConfig([], {});
    for (const each of [config, config.listen, config.guestAgentPollSec]) assert.ok(Object.isFrozen(each));
  });
});
