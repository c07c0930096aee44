// The same as application.mjs with `{ where: 'provider' }`, for a bundler, which needs literal names of packages.
require('reflect-metadata');
const { writeSync } = require('node:fs');
const { Module } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { appRole, CredentialsService, VaultClient, VaultModule } = require('nestjs-vault');

const { ADDRESS: address, ROLE_ID: roleId, SECRET_ID: secretId } = process.env;
class App {}
Module({
  imports: [VaultModule.forRoot({ address, auth: appRole({ roleId, secretId }) })],
  providers: [
    {
      provide: 'failing',
      inject: [CredentialsService, VaultClient],
      async useFactory(credentials, client) {
        const [user, self] = await Promise.all([
          credentials.get('database/creds/orders'),
          client.read('auth/token/lookup-self'),
        ]);
        writeSync(1, `HELD ${user.data.reveal().username} ${self.data.reveal().accessor}\n`);
        writeSync(1, `FAILS ${Date.now()}\n`);
        throw new Error('the application fails');
      },
    },
  ],
})(App);
void NestFactory.createApplicationContext(App);
