/**
 * Memory to and from files of the fake hypervisor. Saves end at once, or, where a test has set `slow`, at finish() or
 * by abortJob.
 */
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type { SaveCalls } from '../../src/domain/hypervisor-verbs.js';
import type { VmId } from '../../src/domain/ids.js';
import { parsedForEdit } from './fake-xml.js';
import { describeXml, FakeDomain } from './fake-domain.js';
import { failed, wrongState } from './fake-world.js';
import type { FakeWorld } from './fake-world.js';

interface SavedFile {
  readonly xml: string;
  readonly paused: boolean;
}

export class FakeSaving implements SaveCalls {
  /** By path. */
  readonly files = new Map<string, SavedFile>();
  slow = false;
  readonly #underWay = new Map<VmId, (error?: HypervisorError) => void>();

  constructor(private readonly world: FakeWorld) {}

  async save(id: VmId, path: string): Promise<void> {
    const domain = await this.world.enterActive('saving.save', id, { path });
    const xml = domain.live;
    const paused = domain.state.state === 'paused';
    try {
      if (path.startsWith('/proc/')) throw failed(`Failed to create file '${path}'`);
      await this.work(id, 'save');
    } catch (error) {
      if (!paused) this.world.act(id, 'saveFails');
      throw error;
    }
    this.files.set(path, { xml, paused });
    this.world.act(id, paused ? 'savePaused' : 'save');
  }

  async restore(path: string, how: { readonly xml?: string; readonly paused: boolean }): Promise<void> {
    await this.world.enter('saving.restore', undefined, { path, ...how });
    const file = this.#file(path);
    const saved = describeXml(file.xml);
    if (how.xml !== undefined) requireSameDomain(saved, how.xml);
    const known = this.world.domains.get(saved.id);
    const domain = known ?? new FakeDomain(saved.id, saved.name, undefined);
    if (domain.active) throw wrongState(`domain is already active as '${domain.name}'`);
    this.world.domains.set(domain.id, domain);
    domain.startFrom(how.xml ?? file.xml);
    this.world.act(domain.id, how.paused ? 'restorePaused' : 'restore');
  }

  async savedXml(path: string): Promise<string> {
    await this.world.enter('saving.savedXml', undefined, { path });
    return this.#file(path).xml;
  }

  async abortJob(id: VmId): Promise<void> {
    const domain = await this.world.enterActive('saving.abortJob', id);
    if (domain.job === undefined) throw wrongState('no job is active on the domain');
    this.#end(id, new HypervisorError('aborted', 'operation aborted: job was canceled by client'));
  }

  /** Lets a slow job end. */
  finish(id: VmId): void {
    this.#end(id);
  }

  /** Has a slow job fail, as it does when its QEMU is killed. */
  fail(id: VmId): void {
    this.#end(id, failed('operation failed: domain is no longer running'));
  }

  /** The domain's job, for as long as it takes. */
  async work(id: VmId, operation: string): Promise<void> {
    const domain = this.world.domains.get(id);
    if (!this.slow || !domain) return;
    domain.job = operation;
    const error = await new Promise<HypervisorError | undefined>((resolve) =>
      this.#underWay.set(id, resolve),
    );
    if (error) throw error;
  }

  #end(id: VmId, error?: HypervisorError): void {
    const end = this.#underWay.get(id);
    this.#underWay.delete(id);
    const domain = this.world.domains.get(id);
    delete domain?.job;
    end?.(error);
  }

  #file(path: string): SavedFile {
    const file = this.files.get(path);
    if (!file) throw failed(`Failed to open file '${path}': No such file or directory`);
    return file;
  }
}

function requireSameDomain({ id, name }: { readonly id: VmId; readonly name: string }, xml: string): void {
  const root = parsedForEdit(xml);
  if (root.child('uuid')?.text === id && root.child('name')?.text === name) return;
  throw new HypervisorError('unsupported', `unsupported configuration: target is not domain ${name} ${id}`);
}
