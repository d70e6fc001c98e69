import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { VmId } from '../../../src/domain/ids.js';
import { HypervisorError } from '../../../src/domain/hypervisor.js';
import { DomainHandles } from '../../../src/libvirt/domain-handles.js';
import { DomainList } from '../../../src/libvirt/domain-list.js';
import type { DomainHandle } from '../../../src/libvirt/objects.js';
import { procedure } from '../../../src/libvirt/procedures.js';
import { PacketStatus, PacketType, PROTOCOL_VERSION, Program } from '../../../src/libvirt/wire.js';
import { XdrWriter } from '../../../src/libvirt/xdr.js';
import { createMetrics } from '../../../src/util/metrics.js';

function handle(n: number, id = n, name = `vm-${n}`): DomainHandle {
  return { name, uuid: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}` as VmId, id };
}

function handles(count: number): DomainHandle[] {
  return Array.from({ length: count }, (_, n) => handle(n));
}

function packetOf(domains: readonly DomainHandle[]): Buffer {
  const body = new XdrWriter();
  procedure('CONNECT_LIST_ALL_DOMAINS').result.write(body, { domains, ret: domains.length });
  return body.finish({
    program: Program.remote,
    version: PROTOCOL_VERSION,
    procedure: procedure('CONNECT_LIST_ALL_DOMAINS').number,
    type: PacketType.reply,
    serial: 0,
    status: PacketStatus.ok,
  });
}

class Listing {
  readonly known = new DomainHandles();
  readonly metrics = createMetrics();
  readonly #list = new DomainList(this.known, this.metrics);

  read(packet: Buffer): ReturnType<DomainList['read']> {
    return this.#list.read({ callRaw: () => Promise.resolve(packet) });
  }
}

describe('the list of domains', () => {
  it('tells id, name and whether the domain runs, and remembers the handles', async () => {
    const listing = new Listing();
    assert.deepEqual(await listing.read(packetOf([handle(1, 7, 'web é'), handle(2, -1)])), [
      { id: handle(1).uuid, name: 'web é', active: true },
      { id: handle(2).uuid, name: 'vm-2', active: false },
    ]);
    assert.deepEqual(listing.known.get(handle(1).uuid), handle(1, 7, 'web é'));
    assert.deepEqual(await listing.read(packetOf([])), []);
  });

  it('gives the same objects again for what did not change, new ones for what did', async () => {
    const listing = new Listing();
    const [first, second] = await listing.read(packetOf([handle(1), handle(2)]));
    const again = await listing.read(packetOf([handle(2), handle(1, -1)]));
    assert.equal(again[0], second);
    assert.deepEqual(again[1], { ...first, active: false });
    assert.equal(listing.known.get(handle(1).uuid).id, -1);
  });

  it('forgets the handles of domains that are gone, also of those that came and went unlisted', async () => {
    const listing = new Listing();
    await listing.read(packetOf([handle(1), handle(2)]));
    listing.known.put(handle(3));
    await listing.read(packetOf([handle(2)]));
    assert.equal(listing.known.get(handle(1).uuid).name, '');
    assert.equal(listing.known.get(handle(3).uuid).name, '');
    assert.equal(listing.known.get(handle(2).uuid).name, 'vm-2');
  });

  it('of thousands gives the event loop its turns', async () => {
    const listing = new Listing();
    let turns = 0;
    const tick = (): void => {
      turns++;
      pending = setImmediate(tick);
    };
    let pending = setImmediate(tick);
    const refs = await listing.read(packetOf(handles(2000)));
    clearImmediate(pending);
    assert.deepEqual(
      refs.map(({ name }) => name),
      handles(2000).map(({ name }) => name),
    );
    assert.ok(turns >= 6, `${turns} turns`);
  });

  it('that is cut short anywhere fails in words and is counted', async () => {
    const whole = packetOf([handle(1), handle(2, -1, '')]);
    const listing = new Listing();
    // The last word repeats the count: nobody needs it.
    for (let length = 28; length < whole.length - 4; length++) {
      await assert.rejects(
        listing.read(whole.subarray(0, length)),
        (error: unknown) => error instanceof HypervisorError && error.kind === 'failed',
        `cut at ${length}`,
      );
    }
    const counted = await listing.metrics.libvirt_malformed_total.get();
    assert.equal(counted.values[0]?.value, whole.length - 4 - 28);
  });

  it('with a count beyond the protocol’s limit is refused', async () => {
    const packet = Buffer.alloc(28 + 4 + 20_000 * 24);
    packet.writeUInt32BE(20_000, 28);
    await assert.rejects(new Listing().read(packet), { kind: 'failed' });
  });
});
