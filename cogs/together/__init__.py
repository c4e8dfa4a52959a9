"""Pictures that people make together: family trees and sessions."""
