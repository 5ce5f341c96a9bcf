"""The page that a person looks at: server-rendered, kept live through one stream, without a word from another host."""

from spark_control.dashboard.login import build_login_router
from spark_control.dashboard.rendering import Pages
from spark_control.dashboard.routes import build_dashboard_router

__all__ = ["Pages", "build_dashboard_router", "build_login_router"]
