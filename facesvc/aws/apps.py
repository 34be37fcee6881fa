from django.apps import AppConfig


class AwsConfig(AppConfig):
    name = "facesvc.aws"
    verbose_name = "Access keys"
