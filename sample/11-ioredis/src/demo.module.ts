import { Module } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { loadOn } from '../../common/load.mjs';
import { AppModule } from './app.module.js';
import { CacheService } from './cache.service.js';

/** The application under the load of `npm start`. An application of your own needs AppModule only. */
@Module({
  imports: [AppModule],
  providers: [
    loadOn(ModuleRef, CacheService, (cache) => [
      () => cache.set('tea', 'hot'),
      () => cache.get('tea'),
      () => cache.count('teas'),
    ]),
  ],
})
export class DemoModule {}
