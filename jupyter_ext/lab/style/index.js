import '../lib/panel.css';
import './base.css';
