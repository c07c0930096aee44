export { startDashboard, type DashboardOptions } from './start-dashboard.js';
export { renderDashboard, type RenderOptions } from './render-dashboard.js';
