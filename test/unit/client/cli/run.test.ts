import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { verbNames } from '../../../../src/protocol/verbs.js';
import { FakeAgent, FakeError, silence, statusEvent } from '../fake-agent.js';
import { run } from './cli-support.js';

describe('runCli', () => {
  let agent: FakeAgent;
  beforeEach(async () => {
    agent = await new FakeAgent().start();
  });
  afterEach(() => agent.stop());

  it('prints indented JSON on a terminal and one line on a pipe', async () => {
    agent.handlers.set('Agent.getHealth', () => ({ status: 'ok' }));
    const argv = ['Agent', 'getHealth'];
    assert.equal(
      (await run(argv, { address: agent.address, terminal: true })).out,
      '{\n  "status": "ok"\n}\n',
    );
    assert.equal((await run(argv, { address: agent.address })).out, '{"status":"ok"}\n');
  });

  it('says of a verb of VDSM that it is not offered, and why', async () => {
    const { code, err } = await run(['Host', 'fenceNode', 'addr=a'], { address: agent.address });
    assert.equal(code, 2);
    assert.equal(
      err,
      'vdsm-client: Host.fenceNode is not offered by this agent: hosts are not fenced from here\n',
    );
  });

  it('sends nothing when the command line is wrong', async () => {
    const { code } = await run(['VM', 'getStats'], { address: agent.address });
    assert.equal(code, 2);
    assert.deepEqual(agent.requests, []);
  });

  it('creates a VM from a file of XML', async () => {
    agent.handlers.set('VM.create', () => ({ status: 'WaitForLaunch' }));
    await run(['vm', 'create', 'xml=@vm.xml'], { address: agent.address, files: { 'vm.xml': '<domain/>' } });
    assert.deepEqual(agent.requests[0]?.params, { vmParams: { xml: '<domain/>' } });
  });

  it("ends with 1 for the agent's error and keeps it on one line", async () => {
    agent.handlers.set('Host.ping', () => {
      throw new FakeError(100, 'General\n  Exception');
    });
    assert.deepEqual(await run(['Host', 'ping'], { address: agent.address }), {
      code: 1,
      out: '',
      err: 'vdsm-client: Host.ping failed: General Exception (code 100)\n',
    });
  });

  it('ends with 3 when no answer comes in time or the connection breaks', async () => {
    agent.handlers.set('Host.ping', () => silence);
    const late = await run(['-t', '0.05', 'Host', 'ping'], { address: agent.address });
    assert.equal(late.code, 3);
    assert.match(late.err, /did not answer Host\.ping within 0\.05 s/);
    agent.handlers.set('Host.ping', (_params, socket) => {
      socket.terminate();
      return silence;
    });
    assert.equal((await run(['Host', 'ping'], { address: agent.address })).code, 3);
  });

  it('ends a call with 130 when interrupted', async () => {
    const interrupt = new AbortController();
    agent.handlers.set('Host.ping', () => {
      interrupt.abort();
      return silence;
    });
    const { code, out } = await run(['Host', 'ping'], {
      address: agent.address,
      interrupted: interrupt.signal,
    });
    assert.deepEqual({ code, out }, { code: 130, out: '' });
  });

  it('lists VMs with colours on a terminal only, and gaps where a figure is unknown', async () => {
    const up = {
      vmId: 'id-2',
      vmName: 'web',
      status: 'Up',
      elapsedTime: '93784',
      cpuUser: '10.00',
      cpuSys: '30.00',
      vcpuCount: '2',
      memUsage: '37',
      balloonInfo: { balloon_cur: '2097152' },
    };
    const down = { vmId: 'id-1', status: 'Down' };
    agent.handlers.set('Host.getAllVmStats', () => [down, { ...down, vmId: 'id-3' }, up]);
    agent.handlers.set('Host.dumpxmls', () => ({ 'id-1': '<domain><name>R&amp;D</name></domain>' }));
    const plain = await run(['list'], { address: agent.address });
    assert.equal(
      plain.out,
      [
        'ID    NAME  STATUS  CPU  MEMORY        AGE',
        'id-3  -     Down    -    -             -',
        'id-1  R&D   Down    -    -             -',
        'id-2  web   Up      20%  37% of 2 GiB  1d2h',
        '',
      ].join('\n'),
    );
    const colourful = await run(['list'], { address: agent.address, terminal: true, colours: true });
    assert.ok(colourful.out.includes('\u001b[32mUp'));
    const json = JSON.parse((await run(['list', '--json'], { address: agent.address })).out) as unknown[];
    assert.deepEqual(json[2], {
      vmId: 'id-2',
      name: 'web',
      status: 'Up',
      cpuPercent: 20,
      memoryKiB: 2_097_152,
      memoryPercent: 37,
      ageSec: 93_784,
    });
  });

  for (const name of verbNames) {
    it(`has help for ${name}`, async () => {
      const { code, out } = await run([...name.split('.'), '-h']);
      assert.equal(code, 0);
      assert.match(out, /^Usage: vdsm-client /);
      assert.match(out, /\nParameters:.*\nResult:\n {2}\S/s);
      assert.ok(!out.includes('undefined') && !out.includes('any'), out);
    });
  }

  it('takes the first word that is no option for the namespace, not the address', async () => {
    agent.handlers.set('Host.ping', () => true);
    assert.equal((await run(['-a', agent.address, 'hOsT', 'ping'])).out, 'true\n');
    assert.equal((await run(['-a', 'host', 'nonsense'])).code, 2);
  });

  it('prints events readably on a terminal and as JSON on a pipe until interrupted', async () => {
    agent.handlers.set('Agent.subscribe', () => ({ epoch: 'e', seq: 0, vms: [] }));
    for (const terminal of [true, false]) {
      const interrupt = new AbortController();
      const { code, out } = await run(['events'], {
        address: agent.address,
        terminal,
        interrupted: interrupt.signal,
        onOutput: (text) => {
          if (text.includes('following')) agent.send(statusEvent('id-1', 'Paused', 1, { pauseCode: 'EIO' }));
          else interrupt.abort();
        },
      });
      assert.equal(code, 0);
      if (terminal) assert.match(out, /^\d\d:\d\d:\d\d\.\d{3} {2}id-1 {2}Paused +pauseCode=EIO\n$/);
      else {
        const { time, ...event } = JSON.parse(out) as { time: string };
        assert.ok(!Number.isNaN(Date.parse(time)));
        const details = { pauseCode: 'EIO', notify_time: 1001, seq: 1 };
        assert.deepEqual(event, { vmId: 'id-1', status: 'Paused', details });
      }
    }
  });

  it('says when events were resumed, and shows the differences when they could not be', async () => {
    const position = { epoch: 'e', seq: 3 };
    const replies = [
      { ...position, vms: [{ vmId: 'a', status: 'Up', statusTime: '1' }] },
      { ...position, missed: [] },
      { epoch: 'f', seq: 0, vms: [{ vmId: 'a', status: 'Down', statusTime: '2', exitCode: 0 }] },
    ];
    agent.handlers.set('Agent.subscribe', () => replies.shift());
    const interrupt = new AbortController();
    const { out, err } = await run(['events'], {
      address: agent.address,
      interrupted: interrupt.signal,
      onOutput: (text) => {
        if (/following|nothing lost/.test(text)) agent.sockets.forEach((socket) => socket.terminate());
        if (text.includes('differences')) interrupt.abort();
      },
    });
    assert.match(err, /nothing lost: 0 events/);
    assert.match(out, /"vmId":"a","status":"Down","snapshot":true/);
  });

  it('ends events with the cause where there is no first connection', async () => {
    assert.equal((await run(['events'])).code, 3);
    assert.equal((await run(['events'], { address: agent.address })).code, 1);
  });
});
