/**
 * Verbs that work on the disk images of a running VM.
 */
import type { VmVerbTable } from '../../protocol/verbs.js';
import type { OperationsParts } from '../operation.js';
import { extendVerb } from './extend.js';
import type { ImageFiles } from './image-files.js';
import { mergeVerb } from './merge.js';
import { Merges } from './merges.js';
import { SnapshotRecovery } from './snapshot-recovery.js';
import { Snapshots } from './snapshot.js';

export type DiskVerb = 'VM.diskSizeExtend' | 'VM.snapshot' | 'VM.merge';

/** The verbs, and the work of theirs that outlives an answer, or the agent. */
export class DiskWork {
  readonly verbs: VmVerbTable<DiskVerb>;
  readonly #merges: Merges;
  readonly #recovery: SnapshotRecovery;

  constructor(parts: OperationsParts, images: ImageFiles) {
    const merges = new Merges(parts);
    const snapshots = new Snapshots(parts, images);
    this.#merges = merges;
    this.#recovery = new SnapshotRecovery(parts);
    this.verbs = {
      'VM.diskSizeExtend': (id, input) => extendVerb(parts, images, id, input),
      'VM.snapshot': (id, input) => snapshots.begin(id, input),
      'VM.merge': (id, input) => mergeVerb(parts, { merges, images }, id, input),
    };
  }

  /** Takes up what earlier agents have left. */
  start(): void {
    this.#merges.start();
    this.#recovery.start();
  }

  stop(): void {
    this.#recovery.stop();
    this.#merges.stop();
  }
}
