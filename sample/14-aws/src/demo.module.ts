import { Module } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { loadOn } from '../../common/load.mjs';
import { AppModule } from './app.module.js';
import { IdentityService } from './identity.service.js';

/** The application under the load of `npm start`. An application of your own needs AppModule only. */
@Module({
  imports: [AppModule],
  providers: [loadOn(ModuleRef, IdentityService, (identity) => [() => identity.user()])],
})
export class DemoModule {}
