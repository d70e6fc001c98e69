import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { UsageError } from '../../../../src/client/cli/io.js';
import { parseParameterFile, parseParameters, parseValue } from '../../../../src/client/cli/parameters.js';
import type { JsonSchema, VerbSpec } from '../../../../src/protocol/schema.js';

const spec: VerbSpec = {
  description: 'A verb.',
  params: {
    type: 'object',
    properties: {
      vmID: { type: 'string' },
      count: { type: 'integer' },
      force: { type: 'boolean' },
      list: { type: 'array', items: { type: 'string' } },
      options: { type: 'object', properties: { xml: { type: 'string' }, depth: { type: 'integer' } } },
      other: { type: 'object', properties: { depth: { type: 'integer' } } },
    },
    required: ['vmID'],
  },
  result: { type: 'boolean' },
};

const files: Record<string, string> = { 'vm.xml': '<domain/>\n' };
const parse = (words: string[], base = {}): Promise<unknown> =>
  parseParameters(spec, words, base, (path) => Promise.resolve(files[path] ?? ''));

describe('parseParameters', () => {
  it('types values by the schema', async () => {
    const params = await parse(['vmID=5', 'count=5', 'force=true', 'list=["a","b"]', 'options={"depth":1}']);
    assert.deepEqual(params, { vmID: '5', count: 5, force: true, list: ['a', 'b'], options: { depth: 1 } });
  });

  it('sends text where it is no JSON of the wanted type, for the agent to judge', async () => {
    assert.deepEqual(await parse(['vmID=a', 'count=many', 'force=1']), {
      vmID: 'a',
      count: 'many',
      force: '1',
    });
  });

  it('splits a list at commas where it is no JSON', async () => {
    assert.deepEqual(await parse(['vmID=a', 'list=x, y']), { vmID: 'a', list: ['x', 'y'] });
  });

  it('keeps everything after the first = and takes an empty value', async () => {
    assert.deepEqual(await parse(['vmID=a=b=c']), { vmID: 'a=b=c' });
    assert.deepEqual(await parse(['vmID=']), { vmID: '' });
  });

  it('reads @file, and takes @@ for a plain @', async () => {
    assert.deepEqual(await parse(['vmID=@vm.xml']), { vmID: '<domain/>\n' });
    assert.deepEqual(await parse(['vmID=@@home']), { vmID: '@home' });
  });

  it("reaches into an object by the member's name or by both names", async () => {
    assert.deepEqual(await parse(['vmID=a', 'xml=@vm.xml', 'options.depth=2', 'other.depth=3']), {
      vmID: 'a',
      options: { xml: '<domain/>\n', depth: 2 },
      other: { depth: 3 },
    });
    await assert.rejects(parse(['vmID=a', 'depth=1']), /depth may mean options\.depth or other\.depth/);
  });

  it('lets words win over the file', async () => {
    assert.deepEqual(await parse(['count=2'], { vmID: 'a', count: 1, extra: 0 }), {
      vmID: 'a',
      count: 2,
      extra: 0,
    });
  });

  for (const [words, message] of [
    [['vmID'], /"vmID" has not the form/],
    [['=x'], /"=x" has not the form/],
    [['vmID=a', 'vmID=b'], /vmID is given twice/],
    [['vmId=a'], /unknown parameter vmId; there is vmID, count/],
    [[], /missing parameter vmID/],
  ] as const) {
    it(`refuses ${JSON.stringify(words)}`, async () => {
      await assert.rejects(
        parse([...words]),
        (error: Error) => error instanceof UsageError && message.test(error.message),
      );
    });
  }

  it('gives text parameters back unchanged, whatever they hold', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), async (text) => {
        const word = `vmID=${text.startsWith('@') ? `@${text}` : text}`;
        assert.deepEqual(await parse([word]), { vmID: text });
      }),
    );
  });

  it('gives JSON values back unchanged where the schema asks for their type', () => {
    const schema: JsonSchema = { type: ['object', 'array', 'number', 'boolean', 'null'] };
    fc.assert(
      fc.property(
        fc.jsonValue().filter((value) => typeof value !== 'string'),
        (value) => {
          assert.deepEqual(parseValue(JSON.stringify(value), schema), JSON.parse(JSON.stringify(value)));
        },
      ),
    );
  });
});

describe('parseParameterFile', () => {
  it('takes a JSON object and nothing else', () => {
    assert.deepEqual(parseParameterFile('{"a":1}', 'f'), { a: 1 });
    for (const text of ['', '[]', '1', 'null', '{"a":']) {
      assert.throws(() => parseParameterFile(text, 'f'), UsageError);
    }
  });
});
