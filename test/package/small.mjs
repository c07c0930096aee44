// A program without Nest: logs in, reads, and either ends its connection or just exits. moved.mjs runs it.
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { appRole, connectVault } from 'nestjs-vault/core';

const [address, ending, ...removed] = process.argv.slice(2);
const auth = appRole({ roleId: 'r', secretId: 's' });
connectVault({ address, auth }, { endAtExit: true })
  .then(async (vault) => {
    for (const folder of removed) rmSync(folder, { recursive: true });
    const { data } = await vault.kv.read('app');
    const user = await vault.credentials.get('database/creds/orders');
    const loaded = Object.keys(createRequire(process.argv[1]).cache);
    const whole = ['axios', 'undici'].filter((name) =>
      loaded.some((file) => file.includes(join('node_modules', name))),
    );
    console.log(data.reveal().apiKey, user.data.reveal().username, 'whole:', whole.join() || 'none');
    if (ending === 'exit') process.exit();
    await vault.close();
  })
  .catch((error) => console.log(error.code, error.message));
