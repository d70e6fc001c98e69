/**
 * Images of a payload's files: ISO 9660 with Joliet and Rock Ridge names, or a 1.44 MB floppy with FAT. The tools of the
 * distribution make them, whichever are there; files' content never passes through an argument or a log.
 */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Payload } from '../domain/launch-files.js';

const execute = promisify(execFile);

const TOOL_DEADLINE_MS = 30_000;
const FLOPPY_KIB = 1440;
/** Of what a tool says. */
const MAX_LINES = 3;

interface Tool {
  readonly program: string;
  readonly args: readonly string[];
}

/** Programs with the options of mkisofs. */
const isoTools: readonly Tool[] = [
  { program: 'xorriso', args: ['-as', 'mkisofs'] },
  { program: 'genisoimage', args: [] },
  { program: 'mkisofs', args: [] },
];
/** Where a daemon's PATH has no folder of the administrator's programs. */
const fatTools: readonly Tool[] = ['mkfs.vfat', '/usr/sbin/mkfs.vfat'].map((program) => ({
  program,
  args: [],
}));

/**
 * @param folder empty, and for nobody else's eyes: the files are laid out in it, and the image is made in it
 * @returns the image's path
 * @throws Error with a sentence
 */
export async function makePayloadImage(payload: Payload, folder: string): Promise<string> {
  const tree = join(folder, 'files');
  await mkdir(tree, { mode: 0o700 });
  for (const { path, content } of payload.files) {
    await mkdir(dirname(join(tree, path)), { recursive: true, mode: 0o700 });
    await writeFile(join(tree, path), content, { mode: 0o600, flag: 'wx' });
  }
  const image = join(folder, 'image');
  await (payload.format === 'iso' ? makeIso(payload, tree, image) : makeFloppy(payload, tree, image));
  return image;
}

async function makeIso({ volumeId }: Payload, tree: string, image: string): Promise<void> {
  const label = volumeId === undefined ? [] : ['-V', volumeId];
  const args = ['-quiet', '-J', '-joliet-long', '-r', ...label, '-o', image, tree];
  await runFirst(isoTools, args, 'a payload CD', 'xorriso or genisoimage');
}

async function makeFloppy({ volumeId, files }: Payload, tree: string, image: string): Promise<void> {
  const label = volumeId === undefined ? [] : ['-n', volumeId];
  await runFirst(fatTools, [...label, '-C', image, String(FLOPPY_KIB)], 'a payload floppy', 'dosfstools');
  const names = [...new Set(files.map(({ path }) => path.split('/', 1)[0] ?? ''))];
  if (names.length === 0) return;
  const sources = names.map((name) => join(tree, name));
  await runFirst(
    [{ program: 'mcopy', args: [] }],
    ['-s', '-m', '-i', image, ...sources, '::/'],
    'a payload floppy',
    'mtools',
  );
}

async function runFirst(
  tools: readonly Tool[],
  args: readonly string[],
  what: string,
  packages: string,
): Promise<void> {
  for (const tool of tools) {
    try {
      await execute(tool.program, [...tool.args, ...args], {
        timeout: TOOL_DEADLINE_MS,
        killSignal: 'SIGKILL',
      });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw new Error(`${what} could not be made: ${tool.program} ${whyOf(error)}`, { cause: error });
    }
  }
  throw new Error(`${what} could not be made: install ${packages}`);
}

/** The tool's words, as one line; it knows names of files, but quotes no content. */
function whyOf(error: unknown): string {
  const { stderr = '', killed } = error as { readonly stderr?: string; readonly killed?: boolean };
  if (killed) return `took longer than ${TOOL_DEADLINE_MS / 1000} s`;
  const lines = stderr.split('\n').map((line) => line.trim());
  const words = [...new Set(lines)].filter((line) => line !== '').slice(0, MAX_LINES);
  return `said: ${words.join('; ')}`;
}
