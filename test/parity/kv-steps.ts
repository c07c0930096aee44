/** One request. `as` is its token: that of the policies below, none, or root where nothing is said. */
export interface KvStep {
  method: string;
  path: string;
  body?: unknown;
  as?: 'limited' | 'nobody';
  contentType?: string;
}

const request = (method: string, path: string, body?: unknown, more: Partial<KvStep> = {}): KvStep => ({
  method,
  path,
  ...(method === 'PATCH' && { contentType: 'application/merge-patch+json' }),
  ...(body !== undefined && { body }),
  ...more,
});
/** Requests to the mount of version 2. */
const get = (path: string, more?: Partial<KvStep>) => request('GET', `kv/${path}`, undefined, more);
const list = (path: string, more?: Partial<KvStep>) => request('LIST', `kv/${path}`, undefined, more);
const remove = (path: string, more?: Partial<KvStep>) => request('DELETE', `kv/${path}`, undefined, more);
const post = (path: string, body?: unknown, more?: Partial<KvStep>) =>
  request('POST', `kv/${path}`, body, more);
const patch = (path: string, body?: unknown, more?: Partial<KvStep>) =>
  request('PATCH', `kv/${path}`, body, more);
/** A write that leaves the data as it is. */
const write = (path: string, options?: unknown) => post(`data/${path}`, { data: { a: 1 }, options });
/** Each body, written to one path, which is then read. */
const each = (path: string, bodies: readonly unknown[], more?: Partial<KvStep>) =>
  bodies.flatMap((body) => [post(path, body, more), get(path)]);
/** Each body, written and then patched. */
const eachWay = (path: string, bodies: readonly unknown[]) =>
  bodies.flatMap((body) => [post(path, body), get(path), patch(path, body), get(path)]);
const fields = (name: string, values: readonly unknown[]) => values.map((value) => ({ [name]: value }));
const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, 'v']));

/** Policies of the token `limited`. */
export const KV_POLICY = `
path "kv/data/pol/create" { capabilities = ["create"] }
path "kv/data/pol/update" { capabilities = ["update"] }
path "kv/data/pol/patch" { capabilities = ["patch"] }
path "kv/metadata/pol/create" { capabilities = ["create"] }
path "kv/metadata/pol/update" { capabilities = ["update"] }
path "kv/metadata/pol/patch" { capabilities = ["patch"] }
path "kv/metadata/pol/*" { capabilities = ["list"] }
path "kv/delete/pol/*" { capabilities = ["update"] }
path "kv/undelete/pol/*" { capabilities = ["create"] }
path "kv/subkeys/pol/*" { capabilities = ["read"] }
path "kv/detailed-metadata/pol/*" { capabilities = ["list"] }
path "kv-1/pol/*" { capabilities = ["create", "list"] }
`;

const v2: Record<string, readonly KvStep[]> = {
  'data of other types': [
    ...each(
      'data/types',
      fields('data', ['text', '', [1], 5, true, null, [], [{ a: 1 }], { b: { c: null } }]),
    ),
    ...each('data/types', [
      { a: 1 },
      undefined,
      [1],
      { data: {}, more: 1, and: 2 },
      { data: {}, version: 'x' },
    ]),
    ...each(
      'data/types',
      fields('options', [null, 'x', [], {}]).map((one) => ({ data: {}, ...one })),
    ),
    post('data/types', '{"data":{"a":1,"a":2}}'),
    post('data/types', '{"data":{"__proto__":{"x":1},"constructor":2,"":3}}'),
    patch('data/types', '{"data":{"__proto__":{"y":1}}}'),
    get('data/types'),
    get('subkeys/types'),
    post('data/types', { data: { s: '<&> \u2028 \u0000' } }, { contentType: 'text/plain' }),
    get('data/types'),
  ],
  'check-and-set': [
    write('cas', { cas: 1 }),
    write('cas', { cas: '0' }),
    ...[0, -1, 1.5, true, 'x', '', null, [1], {}, '01', '0x2', ' 3', false, 99].map((cas) =>
      write('cas', { cas }),
    ),
    write('cas', { CAS: 99, other: 1 }),
    get('metadata/cas'),
    patch('data/cas', { data: { b: 1 }, options: { cas: 'x' } }),
    patch('data/cas', { data: { b: 1 }, options: { cas: 99 } }),
    patch('data/none', { data: { b: 1 }, options: { cas: 0 } }),
    remove('data/cas'),
    write('cas', { cas: 0 }),
    patch('data/cas', { data: { b: 1 }, options: { cas: 99 } }),
  ],
  'reads of versions': [
    write('read'),
    write('read'),
    ...['', '1', '0', '-1', '9', 'x', '1.5', '0x1', '+1', '01', '99999999999999999999', '1&foo=bar'].map(
      (version) => get(`data/read?version=${version}`),
    ),
    get('data/read?foo=bar&and=1'),
    get('data/none?foo=bar'),
    get('data/read?list=true'),
    get('data/read?list=x'),
  ],
  'merge patches': [
    post('data/patch', { data: { a: '1', n: { x: 1, y: [1, { z: 1 }] }, z: null } }),
    patch('data/patch', { data: { n: { y: null }, z: 1, q: { w: null, v: { u: null } } } }),
    get('data/patch'),
    patch('data/patch', { data: { n: 5, l: [null, { a: null }, [null, 1]] } }),
    get('data/patch'),
    patch('data/patch', { data: { l: [{ b: null }], n: { a: { b: null, c: 1 } } } }),
    get('data/patch'),
    patch('data/patch', { data: { a: null, n: null, z: null, q: null, l: null } }),
    get('data/patch'),
    patch('data/patch', { data: {}, more: 1 }),
    patch('data/patch?foo=1', { data: { a: 1 } }),
    ...[{}, undefined, { data: 'x' }, { data: [1] }, 'x{', '[]', 'null'].map((body) =>
      patch('data/patch', body),
    ),
    ...['application/json', 'text/plain', 'application/json-patch+json'].flatMap((contentType) => [
      patch('data/patch', { data: {} }, { contentType }),
      patch('metadata/patch', { max_versions: 1 }, { contentType, as: 'nobody' }),
    ]),
    patch('data/patch', { data: {} }, { contentType: 'application/merge-patch+json; charset=utf-8' }),
    patch('data/patch', { data: {} }, { as: 'nobody' }),
    patch('data/none', {}),
    patch('data/none', { data: {} }, { contentType: 'application/json' }),
    // A patch by null leaves a version without data, which cannot be patched.
    patch('data/patch', { data: null }),
    get('data/patch'),
    get('subkeys/patch'),
    patch('data/patch', { data: { a: 1 } }),
  ],
  subkeys: [
    post('data/sub', { data: { a: { b: { c: { d: 1 } } }, e: {}, f: [{ g: 1 }], h: null, i: 'x' } }),
    ...['0', '1', '2', '3', '-1', 'x', ''].map((depth) => get(`subkeys/sub?depth=${depth}`)),
    ...['1', '9', 'x', '1&depth=1', '1&foo=1'].map((version) => get(`subkeys/sub?version=${version}`)),
    get('subkeys/none'),
    remove('data/sub'),
    get('subkeys/sub'),
  ],
  'deleted and destroyed versions': [
    write('gone'),
    remove('data/gone'),
    get('data/gone'),
    patch('data/gone', { data: { a: 1 } }),
    patch('data/gone', {}),
    write('gone', { cas: 1 }),
    remove('data/gone'),
    remove('data/gone'),
    post('destroy/gone', { versions: [2] }),
    ...['data/gone', 'subkeys/gone', 'metadata/gone'].map((path) => get(path)),
    patch('data/gone', { data: { a: 1 } }),
    post('undelete/gone', { versions: [1, 2] }),
    post('delete/gone', { versions: [2] }),
    get('metadata/gone'),
    remove('data/none'),
    remove('metadata/none'),
    remove('metadata/gone'),
    get('metadata/gone'),
  ],
  ...Object.fromEntries(
    ['delete', 'undelete', 'destroy'].map((kind) => [
      `${kind} of versions`,
      [
        ...Array.from({ length: 4 }, () => write(kind)),
        remove(`data/${kind}`),
        ...[
          [],
          null,
          '',
          'x',
          ['x'],
          [-1],
          [0],
          [1.5],
          [99],
          { a: 1 },
          [[1]],
          '1, 2',
          ['1,2'],
          [''],
          [null],
        ].map((versions) => post(`${kind}/${kind}`, { versions })),
        post(`${kind}/${kind}`, {}),
        ...['1', '1,,2', ['3'], 4, true, '0x2', [1, 99, 1]].flatMap((versions) => [
          post(`${kind}/${kind}`, { versions }),
          get(`metadata/${kind}`),
        ]),
        post(`${kind}/${kind}`, { versions: [1], more: 1 }),
        post(`${kind}/none`, { versions: [1] }),
        post(`${kind}/none`, {}),
        post(kind, { versions: [1] }),
        request('PUT', `kv/${kind}/${kind}`, { versions: [1] }),
        get(`${kind}/${kind}`),
        get(`data/${kind}`),
      ],
    ]),
  ),
  metadata: [
    post('metadata/meta', {}),
    get('metadata/meta'),
    patch('metadata/meta', {}),
    patch('metadata/meta', { custom_metadata: { a: 'b' } }),
    post('metadata/meta', { nosuch: 1 }),
    post('metadata/meta'),
    get('metadata/meta'),
    ...eachWay('metadata/meta', fields('max_versions', [-1, '3', 'x', null, true, [], 4294967296, '', 0])),
    ...['data/meta', 'subkeys/meta'].map((path) => get(path)),
    patch('data/meta', { data: { a: 1 } }),
    remove('data/meta'),
    ...['delete', 'undelete', 'destroy'].map((kind) => post(`${kind}/meta`, { versions: [1] })),
    get('metadata/meta'),
    write('meta', { cas: 0 }),
    ...eachWay('metadata/meta', fields('cas_required', ['true', 'x', 1, 0, null, [], {}, 2, '', 'T'])),
    write('meta'),
    ...eachWay(
      'metadata/meta',
      fields('delete_version_after', [
        '-1s',
        'abc',
        30,
        '30',
        '1h30m',
        '1d',
        '90m',
        null,
        '1.5s',
        '100ms',
        '',
        true,
        [],
      ]),
    ),
    patch('metadata/meta', { nosuch: 1, max_versions: 5 }),
    get('metadata/meta?foo=1'),
  ],
  'custom metadata': [
    ...eachWay(
      'metadata/custom',
      fields('custom_metadata', [
        { a: 'b' },
        {},
        null,
        'x',
        ['a=b'],
        [],
        5,
        true,
        { a: 5 },
        { a: 1.5, b: false },
        { a: null },
        { a: {} },
        { a: [1] },
        { '': 'x' },
        { a: '' },
        { [`${'k'.repeat(126)}ü`]: 'v'.repeat(512) },
        { [`${'k'.repeat(127)}ü`]: 'v' },
        { a: 'v'.repeat(513) },
        { a: 'line\nbreak' },
        { 'a\u0000"': 'x' },
        { 'é\t': 'x' },
        { a: '\u200b' },
        { a: 'ünïcode € 😀', 'a b': ' x ' },
        keys(65),
      ]),
    ),
    patch('metadata/custom', { custom_metadata: { a: null, b: 'c' } }),
    get('metadata/custom'),
    patch('metadata/custom', { custom_metadata: keys(60) }),
    patch('metadata/custom', { custom_metadata: { x: '1', y: '2', z: '3', w: '4', v: '5' } }),
    get('metadata/custom'),
    write('custom'),
    get('data/custom'),
    patch('metadata/custom', { custom_metadata: null, max_versions: 2 }),
    get('metadata/custom'),
  ],
  'versions that are kept': [
    post('metadata/kept', { max_versions: 2 }),
    ...[2, 2, 2, 4, 4, 4, 1].flatMap((max_versions) => [
      post('metadata/kept', { max_versions }),
      write('kept'),
      get('metadata/kept'),
    ]),
    get('data/kept?version=1'),
    post('undelete/kept', { versions: [1] }),
    post('destroy/kept', { versions: [7] }),
    write('kept'),
    get('metadata/kept'),
    ...Array.from({ length: 12 }, () => write('ten')),
    get('metadata/ten'),
    post('config', { max_versions: 3 }),
    write('kept'),
    get('metadata/kept'),
    post('config', { max_versions: 0 }),
  ],
  'versions that end by themselves': [
    post('metadata/ends', { delete_version_after: '100s' }),
    ...['0s', '200s', '50s', '-1s'].flatMap((delete_version_after) => [
      post('config', { delete_version_after }),
      write('ends'),
    ]),
    post('config', { delete_version_after: '0s' }),
    get('metadata/ends'),
    post('delete/ends', { versions: [1] }),
    post('undelete/ends', { versions: [2] }),
    post('destroy/ends', { versions: [3] }),
    get('metadata/ends'),
    post('undelete/ends', { versions: [1, 4] }),
    get('metadata/ends'),
    get('data/ends?version=1'),
    remove('data/ends'),
    get('data/ends'),
  ],
  'config of the mount': [
    ...each('config', [
      ...fields('max_versions', [-1, 'x', '4', null]),
      ...fields('cas_required', ['x', null]),
      ...fields('delete_version_after', ['-1s', 'x', '2h', 90, null, '1.5s', '0s']),
      { nosuch: 1 },
      {},
      { cas_required: false, max_versions: 0, delete_version_after: 'x' },
      { cas_required: true, max_versions: 3, delete_version_after: '1h' },
    ]),
    write('config'),
    write('config', { cas: 0 }),
    patch('data/config', { data: { b: 1 } }),
    patch('data/config', { data: { b: 1 }, options: { cas: 1 } }),
    post('metadata/config', { cas_required: false, foo: 1 }),
    patch('metadata/config', { cas_required: false }),
    get('metadata/config'),
    write('config'),
    post('config', { cas_required: false, max_versions: 0, delete_version_after: '0s' }),
    get('config?foo=1'),
    remove('config'),
    patch('config', { max_versions: 1 }),
    get('config/'),
    get('config/x'),
    list('config'),
  ],
  lists: [
    ...[
      'a',
      'a/b',
      'c/d/e',
      'B',
      'z%20z',
      '%C3%BC',
      '%F0%9F%98%80',
      '%EF%BF%BD',
      'a-b',
      'a.b',
      '%5C',
      '%25',
      '*',
    ].map((name) => write(`l/${name}`)),
    post('metadata/l/empty', {}),
    post('metadata/l/only', { max_versions: 1 }),
    remove('data/l/a'),
    ...['l', 'l/', 'l/a', 'l/a/', 'l/a/b', 'l/c', 'none', ''].map((folder) => list(`metadata/${folder}`)),
    list('metadata'),
    ...['true', '1', 'TRUE', 't', 'false', 'x', ''].map((value) => get(`metadata/l?list=${value}`)),
    get('metadata/l/?list=true'),
    list('metadata/l?foo=x'),
    list('metadata/none?foo=x'),
    ...['data/l', 'data', 'subkeys/l', 'delete/l', 'undelete'].map((path) => list(path)),
  ],
  paths: [
    write('slash'),
    ...['data', 'metadata', 'subkeys'].flatMap((kind) => [get(`${kind}/slash/`), get(`${kind}/none/`)]),
    ...['data', 'metadata', 'subkeys', 'delete', 'undelete', 'destroy'].flatMap((kind) => [
      get(kind),
      get(`${kind}/`),
      post(kind, {}),
      post(`${kind}/`, {}),
      post(`${kind}/slash/`, { data: {} }),
      patch(`${kind}/slash/`, { data: {} }, { as: 'nobody' }),
      remove(kind),
      remove(`${kind}/none/`),
    ]),
    ...['data//slash', '/data/slash', 'data/sl%2F%2Fash?a=b'].map((path) => get(path)),
    request('PUT', 'kv/data//slash?a=b', { data: {} }),
    ...['%0A', '%00', '%7F', '%C2%85', '%E2%80%8B', '%C2%A0'].map((name) => write(`n/${name}`)),
    ...['a%2Fb', 'a..b', '%3F', '%23', '%20n/%20', 'x'.repeat(1000)].map((name) => write(`n/${name}`)),
    list('metadata/n'),
    get('data/n/a+b'),
    ...['nosuch', 'nosuch/x', ''].flatMap((path) => [
      get(path),
      post(path === '' ? '/' : path, {}),
      patch(path === '' ? '/' : path, {}),
      remove(path),
      list(path),
    ]),
    ...['HEAD', 'PUT'].map((method) =>
      request(method, 'kv/data/slash', method === 'PUT' ? { data: {} } : undefined),
    ),
    request('GET', 'kv/data/slash', { a: 1 }),
    request('DELETE', 'kv/data/slash/', { versions: [1] }),
    get('data/slash'),
    get('data/slash/'),
    remove('metadata/slash/'),
    get('metadata/slash'),
  ],
  policies: [
    ...['create', 'create', 'update'].map((name) =>
      post(`data/pol/${name}`, { data: {} }, { as: 'limited' }),
    ),
    patch('data/pol/patch', { data: { a: 1 } }, { as: 'limited' }),
    ...['update', 'patch'].map((name) => post(`data/pol/${name}`, { data: {} })),
    remove('data/pol/update'),
    post('data/pol/update', { data: {} }, { as: 'limited' }),
    ...['patch', 'update'].map((name) => patch(`data/pol/${name}`, { data: { a: 1 } }, { as: 'limited' })),
    ...['create', 'update'].map((name) =>
      post(`metadata/pol/${name}`, { max_versions: 1 }, { as: 'limited' }),
    ),
    ...['update', 'patch'].map((name) =>
      patch(`metadata/pol/${name}`, { max_versions: 1 }, { as: 'limited' }),
    ),
    ...['delete/pol/update', 'undelete/pol/update', 'destroy/pol/update', 'delete/pol/none'].map((path) =>
      post(path, { versions: [1] }, { as: 'limited' }),
    ),
    get('subkeys/pol/update', { as: 'limited' }),
    ...['metadata/pol', 'metadata/pol/', 'metadata/pol/sub', 'metadata'].map((path) =>
      list(path, { as: 'limited' }),
    ),
    ...['data/pol/update', 'config', 'nosuch'].map((path) => get(path, { as: 'limited' })),
    request('POST', 'kv-1/pol/a', { a: 1 }, { as: 'limited' }),
    request('POST', 'kv-1/pol/a', { a: 1 }, { as: 'limited' }),
    request('LIST', 'kv-1/pol', undefined, { as: 'limited' }),
  ],
};

/** What HashiCorp Vault does not have. */
const openBao: Record<string, readonly KvStep[]> = {
  'check-and-set of metadata': [
    post('metadata/mcas', { metadata_cas: 1, max_versions: 3 }),
    ...each('metadata/mcas', [
      { metadata_cas: 0 },
      { metadata_cas_required: true },
      { max_versions: 3 },
      { max_versions: 3, metadata_cas: 0 },
      { max_versions: 3, metadata_cas: '1' },
      { max_versions: 3, metadata_cas: -1 },
      { max_versions: 3, metadata_cas: null },
    ]),
    ...[{ max_versions: 4 }, { max_versions: 4, metadata_cas: 1 }, { metadata_cas: 9 }].map((body) =>
      patch('metadata/mcas', body),
    ),
    patch('metadata/mcas', { max_versions: 4, metadata_cas: 'x' }),
    patch('metadata/mcas', { max_versions: 4, metadata_cas: 2 }),
    patch('metadata/mcas', { metadata_cas_required: null, metadata_cas: 3 }),
    get('metadata/mcas'),
    ...each('config', fields('metadata_cas_required', ['x', true])),
    post('metadata/mcas2', { max_versions: 1 }),
    post('metadata/mcas2', { max_versions: 1, metadata_cas: 0 }),
    ...each('config', fields('metadata_cas_required', [null])),
    remove('metadata/mcas2'),
  ],
  'lists in pages, and with details': [
    ...[
      'limit=1',
      'limit=2&after=a',
      'after=a',
      'after=nosuch',
      'limit=0',
      'limit=-1',
      'limit=x',
      'after=',
      'limit=',
    ].map((query) => list(`metadata/l?${query}`)),
    list('metadata/none?limit=1'),
    get('metadata/l?list=true&limit=1'),
    post('metadata/l/a', { custom_metadata: { o: 'me' } }),
    ...['l', 'l/', 'l?limit=1', 'l?limit=2&after=a', 'none', ''].map((folder) =>
      list(`detailed-metadata/${folder}`),
    ),
    get('detailed-metadata/l?list=true'),
    get('detailed-metadata/l/a'),
    get('detailed-metadata'),
    post('detailed-metadata/l', {}),
    post('detailed-metadata', {}),
    list('detailed-metadata/pol', { as: 'limited' }),
  ],
};

const v1 = (method: string, path: string, body?: unknown, more?: Partial<KvStep>) =>
  request(method, `kv-1${path}`, body, more);

const version1: Record<string, readonly KvStep[]> = {
  'version 1': [
    ...[{ a: 1 }, { data: { a: 1 } }, { a: null }, {}, undefined].flatMap((body) => [
      v1('POST', '/a', body),
      v1('GET', '/a'),
    ]),
    ...['1h', 30, '45', 'x', '999999h', '-5s', { a: 1 }, null, 1.5, '1d', '', true, '1w', []].flatMap(
      (ttl) => [v1('POST', '/ttl', { ttl }), v1('GET', '/ttl')],
    ),
    ...[{ lease: '5m' }, { lease: '7s', ttl: 'x' }, { lease: 'x', ttl: '7s' }].flatMap((body) => [
      v1('POST', '/ttl', body),
      v1('GET', '/ttl'),
    ]),
    v1('PUT', '/a', { a: 2 }),
    v1('PATCH', '/a', { b: 1 }),
    v1('PATCH', '/a', { b: 1 }, { contentType: 'application/json' }),
    v1('HEAD', '/a'),
    ...['/a/', '/none', '/none/', '/a?version=1', '', '/', '/data/a', '/config'].map((path) =>
      v1('GET', path),
    ),
    ...['/a/', '', '/'].map((path) => v1('POST', path, { a: 1 })),
    ...['/none', '/none/', '', '/'].map((path) => v1('DELETE', path)),
    ...['/a/b', '/c/d', '/z%20z'].map((path) => v1('POST', path, { a: 1 })),
    v1('POST', '/c//d', { a: 1 }),
    ...['', '/', '/a', '/a/', '/c', '/c/d', '/none', '?limit=1&after=a', '/none?limit=1'].map((path) =>
      v1('LIST', path),
    ),
    ...['?list=true', '/c?list=true', '/c?list=1'].map((path) => v1('GET', path)),
    v1('DELETE', '/a'),
    v1('LIST', ''),
    request('POST', 'sys/mounts/kv3', { type: 'kv', options: { version: '3' } }),
    request('LIST', 'cubbyhole'),
    request('POST', 'cubbyhole/a', { a: 1 }),
    request('LIST', 'cubbyhole'),
  ],
};

/** Groups of requests to mounts of their own, `kv` and `kv-1`. */
export const kvGroups = (kind: 'openbao' | 'vault'): [string, readonly KvStep[]][] =>
  Object.entries({ ...v2, ...(kind === 'openbao' && openBao), ...version1 });
