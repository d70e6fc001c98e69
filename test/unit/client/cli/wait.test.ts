import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { FakeAgent, FakeError, statusEvent } from '../fake-agent.js';
import { run } from './cli-support.js';

const id = 'ff4e9e8a-0e9c-4e3b-9d8c-6a2f2d3c7b11';
const create = ['VM', 'create', 'xml=<domain/>', '--wait'];

describe('vdsm-client --wait', () => {
  let agent: FakeAgent;
  beforeEach(async () => {
    agent = await new FakeAgent().start();
    agent.handlers.set('Agent.subscribe', () => ({ epoch: 'e', seq: 0, vms: [] }));
  });
  afterEach(() => agent.stop());

  /** Answers VM.create and sends the events behind the answer. */
  function createThen(...events: object[]): void {
    agent.handlers.set('VM.create', () => {
      setImmediate(() => events.forEach((event) => agent.send(event)));
      return { vmId: id, status: 'WaitForLaunch' };
    });
  }

  it('shows each status on standard error and ends when the VM is Up', async () => {
    createThen(statusEvent(id, 'Powering up', 1), statusEvent(id, 'Up', 2));
    const { code, out, err } = await run(create, { address: agent.address });
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(out), { vmId: id, status: 'WaitForLaunch' });
    assert.match(err, /^ +\d+\.\d s {2}Powering up\n +\d+\.\d s {2}Up\n$/);
  });

  it('ends with 1 and the reason where the VM goes Down instead', async () => {
    createThen(statusEvent(id, 'Down', 1, { exitCode: 1, exitReason: 1, exitMessage: 'no such file' }));
    const { code, err } = await run(create, { address: agent.address });
    assert.equal(code, 1);
    assert.match(err, /VM\.create failed: no such file \(code 1\)/);
  });

  it('does not miss events that come before the answer', async () => {
    agent.handlers.set('VM.shutdown', () => {
      agent.send(statusEvent(id, 'Powering down', 1));
      agent.send(statusEvent(id, 'Down', 2, { exitCode: 0 }));
      return true;
    });
    const { code } = await run(['vm', 'shutdown', `vmID=${id}`, '--wait'], { address: agent.address });
    assert.equal(code, 0);
  });

  it('ends with 3 when it takes longer than it was told to wait', async () => {
    createThen(statusEvent(id, 'Powering up', 1));
    const { code, err } = await run([...create, '0.05'], { address: agent.address });
    assert.equal(code, 3);
    assert.match(err, /after 0\.05 s it is not so that the VM is Up/);
  });

  it('does not wait where the verb fails', async () => {
    agent.handlers.set('VM.create', () => {
      throw new FakeError(4, 'Virtual machine already exists');
    });
    assert.equal((await run(create, { address: agent.address })).code, 1);
  });

  it('is no option of verbs that are done when they answer', async () => {
    const { code, err } = await run(['VM', 'pause', `vmID=${id}`, '--wait'], { address: agent.address });
    assert.equal(code, 2);
    assert.match(err, /unknown option '--wait'/);
    assert.deepEqual(agent.requests, []);
  });

  it('ends with 3 where no agent answers', async () => {
    await agent.stop();
    assert.equal((await run(create, { address: agent.address })).code, 3);
  });
});
